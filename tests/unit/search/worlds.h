/* worlds.h - spaces and evaluators whose answers are known, for the tests of search/. */
#ifndef TAILOR_TESTS_WORLDS_H
#define TAILOR_TESTS_WORLDS_H

#include "search/search.h"

#include <cmocka.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static inline struct space_variable *world_variable(struct space *space, uint8_t n_options, uint16_t group,
                                                    const char *name)
{
    struct space_variable *v = &space->variables[space->n_variables++];
    *v = (struct space_variable){.n_options = n_options, .ordered = true, .parent = -1, .group = group};
    memcpy(v->name, name, strnlen(name, sizeof v->name - 1));
    for (int i = 0; i < n_options; i++) {
        (void)snprintf(v->labels[i], sizeof v->labels[i], "%u", (unsigned)i % 100);
        v->numbers[i] = i;
    }
    return v;
}

/* once-for-all's MobileNetV3 space: 25 resolutions, 5 stages of depth 2..4, 4 slots of kernel and expand each. */
static inline void world_ofa(struct space *space)
{
    struct tl_err err = {0};
    uint16_t group = 0;
    *space = (struct space){.name = "ofa"};
    char name[64];
    (void)world_variable(space, 25, group++, "resolution");
    for (unsigned s = 1; s <= 5; s++) {
        (void)snprintf(name, sizeof name, "s%u.depth", s);
        (void)world_variable(space, 3, group++, name);
    }
    for (unsigned s = 1; s <= 5; s++) {
        for (unsigned b = 1; b <= 4; b++, group++) {
            (void)snprintf(name, sizeof name, "s%u.b%u.kernel", s, b);
            struct space_variable *kernel = world_variable(space, 3, group, name);
            (void)snprintf(name, sizeof name, "s%u.b%u.expand", s, b);
            struct space_variable *expand = world_variable(space, 3, group, name);
            kernel->parent = expand->parent = (int16_t)s;
            kernel->active_under = expand->active_under = b <= 2 ? 7 : b == 3 ? 6 : 4;
        }
    }
    assert_int_equal(space_finish(space, &err), TL_OK);
}

/* `n` independent variables of `n_options`, every two neighbours a group. */
static inline void world_flat(struct space *space, int n, uint8_t n_options)
{
    struct tl_err err = {0};
    *space = (struct space){.name = "flat"};
    for (int i = 0; i < n; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "v%d", i);
        (void)world_variable(space, n_options, (uint16_t)(i / 2), name);
    }
    assert_int_equal(space_finish(space, &err), TL_OK);
}

enum { WORLD_COST, WORLD_GAIN, WORLD_METRICS };

/* Cost (cheap): the sum of all options. Gain (dear): concave in every option, with weights that grow with its place, so
 * the front trades options of weak variables for those of strong ones. */
struct world {
    const struct space *space;
    struct search_evaluator evaluator;
    bool constant;           /* gain 1 for all */
    uint8_t nan_first;       /* gain NAN where variable 0 takes this option; UINT8_MAX: nowhere */
    atomic_int dear_to_fail; /* calls for gain until one fails; 0: none will */
    atomic_int n_dear;       /* architectures whose gain was asked */
};

static inline double world_cost(const struct space *space, const uint8_t *arch)
{
    double sum = 0;
    for (size_t i = 0; i < space->n_variables; i++) {
        sum += arch[i];
    }
    return sum;
}

static inline double world_gain(const struct space *space, const uint8_t *arch)
{
    double sum = 0;
    for (size_t i = 0; i < space->n_variables; i++) {
        sum += (1 + 0.37 * (double)i) * sqrt(arch[i]);
    }
    return sum;
}

/* Gain is concave in every variable: the most for `cost` steps in a flat world is got by taking the steepest each time. */
static inline double world_most_gain(const struct space *space, unsigned cost)
{
    uint8_t arch[SPACE_VARIABLES_MAX] = {0};
    for (unsigned step = 0; step < cost; step++) {
        size_t steepest = 0;
        double most = 0, before = world_gain(space, arch);
        for (size_t i = 0; i < space->n_variables; i++) {
            arch[i]++;
            double rise = arch[i] < space->variables[i].n_options ? world_gain(space, arch) - before : 0;
            arch[i]--;
            steepest = rise > most ? i : steepest;
            most = fmax(most, rise);
        }
        arch[steepest]++;
    }
    return world_gain(space, arch);
}

static inline enum tl_rc world_values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride,
                                      size_t n, double *out, unsigned thread, struct tl_err *err)
{
    struct world *world = ctx;
    (void)thread;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *arch = archs + i * stride;
        double *row = out + i * SEARCH_METRICS_MAX;
        if (first <= WORLD_COST) {
            row[WORLD_COST] = world_cost(world->space, arch);
        }
        if (first + n_metrics > WORLD_GAIN) {
            double gain = world->constant ? 1 : world_gain(world->space, arch);
            row[WORLD_GAIN] = arch[0] == world->nan_first ? (double)NAN : gain;
        }
    }
    if (first + n_metrics > WORLD_GAIN) {
        atomic_fetch_add(&world->n_dear, (int)n);
        if (atomic_load(&world->dear_to_fail) > 0 && atomic_fetch_sub(&world->dear_to_fail, 1) == 1) {
            return tl_fail(err, TL_UNAVAILABLE, "no gain today");
        }
    }
    return TL_OK;
}

static inline void world_init(struct world *world, const struct space *space)
{
    memset(world, 0, sizeof *world);
    world->space = space;
    world->nan_first = UINT8_MAX;
    world->evaluator =
        (struct search_evaluator){.ctx = world, .n_metrics = WORLD_METRICS, .n_cheap = 1, .values = world_values};
}

/* Most gain at little cost. */
static inline struct search_spec world_spec(const char *controller, uint64_t budget)
{
    struct search_spec spec = {.objective = WORLD_GAIN,
                               .maximize = true,
                               .n_front = 2,
                               .front = {WORLD_GAIN, WORLD_COST},
                               .seed = 7,
                               .budget_evaluations = budget,
                               .sample_size = 300};
    (void)snprintf(spec.controller, sizeof spec.controller, "%s", controller);
    return spec;
}

static inline void world_limit(struct search_spec *spec, uint8_t metric, bool is_min, double bound)
{
    spec->limits[spec->n_limits++] = (struct search_limit){.metric = metric, .is_min = is_min, .bound = bound};
}

static inline struct search_run *world_run(struct world *world, const struct search_spec *spec, struct tl_pool *pool)
{
    struct search_run *run = NULL;
    struct tl_err err = {0};
    assert_int_equal(search_run_new(world->space, &world->evaluator, spec, pool, &run, &err), TL_OK);
    return run;
}

static inline void world_finish(struct search_run *run)
{
    struct tl_err err = {0};
    bool done = false;
    assert_int_equal(search_run_step(run, UINT64_MAX, &done, &err), TL_OK);
    assert_true(done);
}

enum { SECONDS_BYTES = 8 }; /* at the end of a state: the only part that is not determined */

static inline void world_state(const struct search_run *run, struct tl_buf *buf)
{
    struct tl_err err = {0};
    buf->max = 16U << 20;
    tl_buf_clear(buf);
    assert_int_equal(search_run_save(run, buf, &err), TL_OK);
}

static inline void assert_same_state(const struct search_run *a, const struct search_run *b)
{
    TL_AUTO(tl_buf) x = {0}, y = {0};
    world_state(a, &x);
    world_state(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len - SECONDS_BYTES);
}

#endif
