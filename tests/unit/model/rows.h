/* rows.h - made-up hot rows with a known value: one option of each of six variables, some pairs interacting. */
#ifndef TAILOR_TESTS_MODEL_ROWS_H
#define TAILOR_TESTS_MODEL_ROWS_H

#include "base/model/model.h"

enum { ROWS_VARIABLES = 6, ROWS_OPTIONS = 3, ROWS_FEATURES = ROWS_VARIABLES * ROWS_OPTIONS, ROWS_MAX = 400 };

struct made_rows {
    uint16_t index[ROWS_MAX * ROWS_VARIABLES];
    double y[ROWS_MAX];
    struct model_hot hot;
};

/* `options`: how many options of each variable are drawn. */
static inline void made_rows_draw(struct made_rows *rows, size_t n, unsigned options, double noise, uint64_t seed)
{
    struct tl_rng rng;
    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < n; i++) {
        unsigned o[ROWS_VARIABLES];
        for (unsigned v = 0; v < ROWS_VARIABLES; v++) {
            o[v] = tl_rng_below(&rng, options);
            rows->index[i * ROWS_VARIABLES + v] = (uint16_t)(v * ROWS_OPTIONS + o[v]);
        }
        rows->y[i] = 70.0 + 1.0 * o[0] + 0.5 * o[1] - 0.3 * o[2] + 0.6 * (o[0] == o[3]) - 0.4 * (o[1] * o[4] == 2) +
                     noise * tl_rng_normal(&rng);
    }
    rows->hot = (struct model_hot){rows->index, n, ROWS_VARIABLES};
}

#endif
