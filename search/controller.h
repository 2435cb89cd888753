/* controller.h - the controllers there are, and which random streams are whose.
 *
 * A controller's file defines its own `struct search_controller`, known nowhere else.
 */
#ifndef TAILOR_SEARCH_CONTROLLER_H
#define TAILOR_SEARCH_CONTROLLER_H

#include "search/search.h"

/* Streams (seed, batch, .): 0..SEARCH_BATCH_MAX-1 are the slots'. */
enum { STREAM_PLAN = SEARCH_BATCH_MAX, STREAM_SAMPLE, STREAM_WEIGHTS };

extern const struct search_controller_ops controller_random, controller_evolution;
extern const struct search_controller_ops controller_reinforce;
extern const struct search_controller_ops controller_ppo;

#endif
