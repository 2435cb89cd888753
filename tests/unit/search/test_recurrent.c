/* The recurrent policy: its gradients through time, inactive variables, draws that follow it. */
#include "search/recurrent.h"

#include "alloc_fail.h"
#include "worlds.h"

static struct space space; /* five variables; s1.b1 is there under depth 1 and 2, s1.b2 under depth 2 */

static int make_space(void **state)
{
    struct tl_err err = {0};
    (void)state;
    space = (struct space){.name = "tree"};
    (void)world_variable(&space, 4, 0, "resolution");
    (void)world_variable(&space, 3, 1, "depth");
    struct space_variable *first = world_variable(&space, 3, 2, "b1");
    struct space_variable *second = world_variable(&space, 2, 3, "b2");
    (void)world_variable(&space, 3, 4, "width");
    first->parent = second->parent = 1;
    first->active_under = 6;
    second->active_under = 4;
    assert_int_equal(space_finish(&space, &err), TL_OK);
    return 0;
}

/* Heads away from zero, where training would bring them. */
static void make_policy(struct recurrent *net)
{
    struct tl_rng rng;
    struct tl_err err = {0};
    tl_rng_init(&rng, 5, 0, 0);
    assert_int_equal(recurrent_init(net, &space, &rng, &err), TL_OK);
    for (size_t i = 0; i < net->n_parameters; i++) {
        net->parameters[i] += 0.3 * (tl_rng_unit(&rng) - 0.5);
    }
    recurrent_prepare(net);
}

static void a_new_policy_is_uniform(void **state)
{
    struct recurrent net;
    struct recurrent_path path;
    struct tl_rng rng;
    struct tl_err err = {0};
    const uint8_t arch[] = {3, 2, 1, 1, 0};
    (void)state;
    tl_rng_init(&rng, 5, 0, 0);
    assert_int_equal(recurrent_init(&net, &space, &rng, &err), TL_OK);
    recurrent_forward(&net, arch, &path);
    assert_int_equal(path.n, 5);
    for (size_t t = 0; t < path.n; t++) {
        assert_true(fabs(path.decisions[t].log_probability + log(space.variables[t].n_options)) < 1e-14);
    }
    recurrent_done(&net);
}

/* The gradient of number k of the embedding of a row. */
static double embedded(const struct recurrent *net, size_t row, size_t k)
{
    return net->gradient[row * RECURRENT_HIDDEN + k];
}

static void inactive_variables_are_passed_over(void **state)
{
    struct recurrent net;
    struct recurrent_path path;
    const uint8_t flat[] = {3, 0, 0, 0, 2}, deep[] = {3, 1, 2, 0, 2};
    const double none[] = {0, 0, 0, 0, 0}, one[] = {1, 1, 1, 1, 1};
    (void)state;
    make_policy(&net);
    recurrent_forward(&net, flat, &path);
    assert_int_equal(path.n, 3);
    assert_int_equal(path.decisions[2].variable, 4);
    assert_int_equal(path.decisions[2].row, net.first_row[1]); /* comes after depth 0 */
    recurrent_gradient_begin(&net);
    recurrent_backward(&net, &path, one, none, 0.1);
    recurrent_gradient_end(&net);
    size_t n_rows = net.n_rows, biases = net.n_parameters - 1 - RECURRENT_HIDDEN - n_rows;
    for (size_t row = 0; row < n_rows; row++) { /* head biases; rows 7..9 are b1's, 10 and 11 b2's */
        bool decided = row < 7 || row >= 12;
        assert_true((net.gradient[biases + row] != 0) == decided);
    }
    for (size_t k = 0; k < RECURRENT_HIDDEN; k++) { /* embeddings: of 3, of depth 0, of the start, and no others */
        assert_true(embedded(&net, 3, k) != 0 && embedded(&net, 4, k) != 0);
        assert_true(embedded(&net, n_rows, k) != 0);
        assert_true(embedded(&net, 7, k) == 0 && embedded(&net, 14, k) == 0);
    }
    recurrent_forward(&net, deep, &path);
    assert_int_equal(path.n, 4);
    recurrent_done(&net);
}

/* ---- gradients ----------------------------------------------------------------------------------------------- */

static const uint8_t paths[][5] = {{3, 2, 1, 1, 0}, {0, 0, 0, 0, 2}, {1, 1, 2, 0, 1}};
static const double of_log[] = {0.7, -1.3, 0.4, 2.1, -0.6}, of_value[] = {0.2, 0.9, -1.1, 0.3, 0.5};
static const double OF_ENTROPY = 0.35;

static double objective(struct recurrent *net)
{
    struct recurrent_path path;
    double sum = 0;
    recurrent_prepare(net);
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        recurrent_forward(net, paths[i], &path);
        for (size_t t = 0; t < path.n; t++) {
            const struct recurrent_decision *decision = &path.decisions[t];
            sum += of_log[t] * decision->log_probability + of_value[t] * decision->value;
            for (size_t o = 0; o < space.variables[decision->variable].n_options; o++) {
                sum -= OF_ENTROPY * decision->probabilities[o] * log(decision->probabilities[o]);
            }
        }
    }
    return sum;
}

static void gradients_through_time_agree_with_central_differences(void **state)
{
    struct recurrent net;
    struct recurrent_path path;
    double worst = 0, step = 1e-5;
    (void)state;
    make_policy(&net);
    recurrent_gradient_begin(&net);
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        recurrent_forward(&net, paths[i], &path);
        recurrent_backward(&net, &path, of_log, of_value, OF_ENTROPY);
    }
    recurrent_gradient_end(&net);
    for (size_t i = 0; i < net.n_parameters; i += 3) { /* some of every tensor */
        double here = net.parameters[i];
        net.parameters[i] = here + step;
        double above = objective(&net);
        net.parameters[i] = here - step;
        double below = objective(&net);
        net.parameters[i] = here;
        worst = fmax(worst, fabs((above - below) / (2 * step) - net.gradient[i]));
    }
    if (worst > 1e-8) {
        fail_msg("a gradient is off by %g", worst);
    }
    recurrent_done(&net);
}

/* ---- draws --------------------------------------------------------------------------------------------------- */

/* Depth and b1 are drawn as often as the policy says they come together, which independent choices would not. */
static void draws_follow_the_policy_and_are_canonical(void **state)
{
    enum { DRAWS = 20000 };
    struct recurrent net;
    struct recurrent_path path;
    struct tl_rng rng;
    uint8_t arch[5], canonical[5];
    unsigned seen[4 * 3 * 3 * 2 * 3] = {0};
    double distance = 0;
    (void)state;
    make_policy(&net);
    tl_rng_init(&rng, 11, 0, 0);
    for (size_t i = 0; i < DRAWS; i++) {
        recurrent_sample(&net, &rng, arch);
        memcpy(canonical, arch, sizeof arch);
        space_canonical(&space, canonical);
        assert_true(space_valid(&space, arch));
        assert_memory_equal(arch, canonical, sizeof arch);
        seen[(((arch[0] * 3 + arch[1]) * 3 + arch[2]) * 2 + arch[3]) * 3 + arch[4]]++;
    }
    for (unsigned i = 0; i < TL_COUNT_OF(seen); i++) {
        const uint8_t all[] = {(uint8_t)(i / 54), (uint8_t)(i / 18 % 3), (uint8_t)(i / 6 % 3), (uint8_t)(i / 3 % 2),
                               (uint8_t)(i % 3)};
        double logarithm = 0;
        memcpy(canonical, all, sizeof all);
        space_canonical(&space, canonical);
        if (memcmp(all, canonical, sizeof all) != 0) {
            assert_int_equal(seen[i], 0);
            continue;
        }
        recurrent_forward(&net, all, &path);
        for (size_t t = 0; t < path.n; t++) {
            logarithm += path.decisions[t].log_probability;
        }
        double expected = DRAWS * exp(logarithm), difference = seen[i] - expected;
        distance += difference * difference / expected;
    }
    /* chi square over 120 architectures: mean 119, deviation 15.4 */
    assert_true(distance < 119 + 4 * 15.4);
    recurrent_done(&net);
}

static enum tl_rc a_policy_is_made(void *ctx, struct tl_err *err)
{
    struct recurrent net;
    struct tl_rng rng;
    (void)ctx;
    tl_rng_init(&rng, 5, 0, 0);
    enum tl_rc rc = recurrent_init(&net, &space, &rng, err);
    if (!rc) {
        recurrent_done(&net);
    }
    return rc;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    assert_int_equal(alloc_fail_each(a_policy_is_made, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_policy_is_uniform),
        cmocka_unit_test(inactive_variables_are_passed_over),
        cmocka_unit_test(gradients_through_time_agree_with_central_differences),
        cmocka_unit_test(draws_follow_the_policy_and_are_canonical),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
