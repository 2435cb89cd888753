/* controller.c - the table of controllers. */
#include "search/controller.h"

#include <string.h>

static const struct search_controller_ops *const controllers[] = {
    &controller_auto,     &controller_natural_gradient,
    &controller_yoco,     &controller_reinforce,
    &controller_ppo,      &controller_evolution,
    &controller_distinct, &controller_aging,
    &controller_nsga2,    &controller_nsga3,
    &controller_local,    &controller_model,
    &controller_random, /* the last, and the baseline */
};

size_t search_controller_count(void)
{
    return TL_COUNT_OF(controllers);
}

const struct search_controller_ops *search_controller_at(size_t index)
{
    return index < TL_COUNT_OF(controllers) ? controllers[index] : NULL;
}

const struct search_controller_ops *search_controller_get(const char *name)
{
    for (size_t i = 0; i < TL_COUNT_OF(controllers); i++) {
        if (strcmp(controllers[i]->name, name) == 0) {
            return controllers[i];
        }
    }
    return NULL;
}
