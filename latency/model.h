/* model.h - inside of a latency model, shared by the files that make, use and store it.
 *
 * Latency of a network = constant + sum over blocks of scale[part] x the block's time alone. Parts: 0 before the stages,
 * 1..n_stages the stages, n_stages + 1 the head.
 */
#ifndef TAILOR_LATENCY_MODEL_H
#define TAILOR_LATENCY_MODEL_H

#include "latency/latency.h"

enum { LAT_PARTS_MAX = NET_STAGES_MAX + 2, LAT_RESOLUTIONS_MAX = 32, LAT_BLOCKS_MAX = 1 << 16, LAT_ROWS_MAX = 1 << 13 };

/* A block's time alone. Equal keys are equal work, so that a measured time holds at every resolution (0) that has the
 * block; an imported table gives each resolution times of its own. */
struct lat_time {
    uint16_t resolution; /* of the whole network; 0: any */
    char key[NET_KEY_MAX];
    double ms;
};

struct lat_model {
    uint16_t n_stages, n_resolutions;
    uint16_t resolutions[LAT_RESOLUTIONS_MAX]; /* ascending */
    double constant_ms;
    double scale[LAT_PARTS_MAX];
    struct lat_error error;
    struct lat_time *times; /* owned; by resolution, then key, each once */
    size_t n_times;
};

/* A model of n_times times still to be filled, scales 1, no known error. */
TL_MUST_CHECK enum tl_rc lat_model_new(size_t n_stages, size_t n_times, struct lat_model **ret_model,
                                       struct tl_err *err);
int lat_time_compare(const void *a, const void *b); /* for qsort: by resolution, key, time */
/* The time of a block of a network at `resolution`; NULL: none. */
const struct lat_time *lat_time_find(const struct lat_model *model, unsigned resolution, const char *key);

/* Add a resolution; one that is there already is not added again. TL_TOO_LARGE: more than LAT_RESOLUTIONS_MAX. */
TL_MUST_CHECK enum tl_rc lat_resolution_add(struct lat_model *model, unsigned resolution, struct tl_err *err);

/* The part of a block; TL_INVALID when the block's stage is not one of the model's family. */
TL_MUST_CHECK enum tl_rc lat_part_of(const struct lat_model *model, const struct net_block *block, size_t *ret_part,
                                     struct tl_err *err);

#endif
