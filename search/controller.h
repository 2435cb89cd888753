/* controller.h - the controllers there are, and which random streams are whose.
 *
 * A controller's file defines its own `struct search_controller`, known nowhere else.
 */
#ifndef TAILOR_SEARCH_CONTROLLER_H
#define TAILOR_SEARCH_CONTROLLER_H

#include "search/search.h"

/* Streams (seed, batch, .): 0..SEARCH_BATCH_MAX-1 are the slots'. */
enum { STREAM_PLAN = SEARCH_BATCH_MAX, STREAM_SAMPLE, STREAM_TELL, STREAM_WEIGHTS };

extern const struct search_controller_ops controller_auto, controller_natural_gradient, controller_yoco,
    controller_reinforce, controller_ppo, controller_evolution, controller_distinct, controller_aging, controller_nsga2,
    controller_nsga3, controller_local, controller_model, controller_random;

#endif
