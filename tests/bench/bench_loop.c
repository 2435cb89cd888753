/* bench_loop.c - what the search costs where valuing an architecture costs nothing: asking and telling, and the front.
 *
 *     bench_loop [--evaluations N] [--candidates N] [--threads N] [--seed N]
 *
 * The loop runs once-for-all's space (46 variables). Its bound is drawing one random architecture. Every controller's
 * plan, propose and tell are timed alone, too, without the loop around them: N evaluations, or as many as take SECONDS;
 * what learns from few rows for dear evaluators at 100, 300 and 600 of them. A front is offered N candidates of which few
 * (cloud) or none (line, simplex) dominate another; it stands beside a list that is compared as a whole, for the first
 * 10,000 of them. Growth is the exponent of its time from there to N, beside that of n log n.
 */
#include "search/front.h"
#include "tests/bench/bench.h"

#include <getopt.h>
#include <string.h>

enum { COSTS_MAX = 4, PEER_CANDIDATES = 10000, BATCH_MAX = 1024, SECONDS = 5 };

struct options {
    unsigned evaluations, candidates, threads;
    unsigned long long seed;
};

static struct space space;

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_loop: %s: %s\n", what, detail);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        die(tl_rc_title(rc), err->text);
    }
}

static void report_as(const struct options *options, const char *name, const char *metric, const char *unit,
                      double value, const char *peer, double peer_value)
{
    const struct bench_figure figure = {.bench = "loop",
                                        .name = name,
                                        .metric = metric,
                                        .unit = unit,
                                        .value = value,
                                        .peer = peer,
                                        .peer_value = peer_value,
                                        .threads = options->threads,
                                        .seed = options->seed};
    bench_report(&figure);
    (void)fprintf(stderr, "%-40s %-14s %10.4g %s", name, metric, value, unit);
    if (peer) {
        (void)fprintf(stderr, "   %s %.4g", peer, peer_value);
    }
    (void)fprintf(stderr, "\n");
}

static void report(const struct options *options, const char *name, const char *metric, double ns, const char *peer,
                   double peer_ns)
{
    report_as(options, name, metric, "ns", ns, peer, peer_ns);
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

static struct space_variable *add_variable(unsigned n_options, unsigned group)
{
    struct space_variable *v = &space.variables[space.n_variables];
    *v = (struct space_variable){.n_options = (uint8_t)n_options, .parent = -1, .group = (uint16_t)group};
    (void)snprintf(v->name, sizeof v->name, "v%u", space.n_variables++ % 1000U);
    for (unsigned i = 0; i < n_options; i++) {
        (void)snprintf(v->labels[i], sizeof v->labels[i], "%u", i % 100);
    }
    return v;
}

/* Resolution, five depths, and kernel and expand of twenty slots. */
static void make_space(void)
{
    struct tl_err err = {0};
    memcpy(space.name, "ofa", 4);
    (void)add_variable(25, 0);
    for (unsigned s = 1; s <= 5; s++) {
        (void)add_variable(3, s);
    }
    for (unsigned slot = 0; slot < 40; slot++) {
        struct space_variable *v = add_variable(3, 6 + slot / 2);
        v->parent = (int16_t)(1 + slot / 8);
        v->active_under = slot % 8 < 4 ? 7 : slot % 8 < 6 ? 6 : 4;
    }
    must(space_finish(&space, &err), &err);
}

/* Metric 0, cheap: the sum of all options. Metric 1: what the first variable adds to it. */
static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    (void)ctx;
    (void)thread;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        unsigned sum = 0;
        for (size_t v = 0; v < stride; v++) {
            sum += archs[i * stride + v];
        }
        const double both[2] = {sum, (double)sum + archs[i * stride]};
        memcpy(out + i * SEARCH_METRICS_MAX + first, both + first, n_metrics * sizeof *both);
    }
    return TL_OK;
}

static double sample_ns(const struct options *options)
{
    uint8_t arch[SPACE_VARIABLES_MAX];
    struct tl_rng rng;
    tl_rng_init(&rng, options->seed, 0, 0);
    const int64_t start_ns = tl_clock_mono_ns();
    for (unsigned i = 0; i < options->evaluations; i++) {
        space_sample(&space, &rng, arch);
    }
    return (double)(tl_clock_mono_ns() - start_ns) / options->evaluations;
}

static void bench_search(const struct options *options, const char *controller, double cost_max, const char *name)
{
    const struct search_evaluator evaluator = {.n_metrics = 2, .n_cheap = 1, .values = values};
    struct search_spec spec = {.n_limits = 1,
                               .limits = {{.metric = 0, .bound = cost_max}},
                               .objective = 1,
                               .maximize = true,
                               .n_front = 2,
                               .front = {1, 0},
                               .seed = options->seed,
                               .budget_evaluations = options->evaluations,
                               .sample_size = 10000};
    struct search_run *run = NULL;
    struct tl_pool *pool = NULL;
    struct tl_err err = {0};
    bool done = false;

    (void)snprintf(spec.controller, sizeof spec.controller, "%s", controller);
    must(tl_pool_new(&pool, options->threads, &err), &err);
    must(search_run_new(&space, &evaluator, &spec, pool, &run, &err), &err);
    must(search_run_step(run, UINT64_MAX, &done, &err), &err);
    const double ns = search_run_seconds(run) * 1e9, bound_ns = sample_ns(options);
    report(options, name, "evaluation_ns", ns / (double)search_run_evaluations(run), "draw_one", bound_ns);
    report(options, name, "proposal_ns", ns / (double)search_run_proposals(run), "draw_one", bound_ns);
    search_run_free(run);
    tl_pool_free(pool);
}

/* ---- asking and telling -------------------------------------------------------------------------------------- */

/* One controller and the batch that it fills. */
struct asked {
    const struct search_controller_ops *ops;
    struct search_controller *controller; /* owned */
    uint64_t n_batches;
    uint8_t genes[BATCH_MAX * SPACE_VARIABLES_MAX], archs[BATCH_MAX * SPACE_VARIABLES_MAX];
    double values[BATCH_MAX * SEARCH_METRICS_MAX], score[BATCH_MAX], violation[BATCH_MAX];
};

static void value_batch(struct asked *a, size_t n, double cost_max)
{
    const size_t width = space.n_variables;
    memcpy(a->archs, a->genes, n * width);
    for (size_t i = 0; i < n; i++) {
        space_canonical(&space, a->archs + i * width);
    }
    (void)values(NULL, 0, 2, a->archs, width, n, a->values, 0, NULL);
    for (size_t i = 0; i < n; i++) {
        a->score[i] = a->values[i * SEARCH_METRICS_MAX + 1];
        a->violation[i] = fmax(0, a->values[i * SEARCH_METRICS_MAX] - cost_max);
    }
}

/* One batch; returns its size. *ret_ns: of planning, proposing and telling. */
static size_t ask_and_tell(struct asked *a, const struct search_spec *spec, int64_t *ret_ns)
{
    int64_t start_ns = tl_clock_mono_ns(), asked_ns;
    const size_t n = a->ops->plan(a->controller, a->n_batches);
    for (size_t i = 0; i < n; i++) {
        struct tl_rng rng;
        tl_rng_init(&rng, spec->seed, a->n_batches, i);
        a->ops->propose(a->controller, i, 0, &rng, a->genes + i * space.n_variables);
    }
    asked_ns = tl_clock_mono_ns() - start_ns;
    a->n_batches++;
    value_batch(a, n, spec->limits[0].bound);
    start_ns = tl_clock_mono_ns();
    a->ops->tell(a->controller, &(struct search_batch){n, a->genes, a->archs, a->values, a->score, a->violation});
    *ret_ns = asked_ns + tl_clock_mono_ns() - start_ns;
    return n;
}

static void asked_begin(struct asked *a, const struct search_controller_ops *ops, struct search_spec *spec,
                        const struct options *options)
{
    struct tl_err err = {0};
    *spec = (struct search_spec){.n_limits = 1,
                                 .limits = {{.metric = 0, .bound = 45}},
                                 .objective = 1,
                                 .maximize = true,
                                 .n_front = 2,
                                 .front = {1, 0},
                                 .seed = options->seed,
                                 .budget_evaluations = options->evaluations};
    (void)snprintf(spec->controller, sizeof spec->controller, "%s", ops->name);
    *a = (struct asked){.ops = ops};
    if (ops->batch > BATCH_MAX) {
        die(ops->name, "its batch is larger than the bench's");
    }
    must(ops->make(&space, spec, &a->controller, &err), &err);
}

static void bench_asking(const struct options *options, const struct search_controller_ops *ops)
{
    static struct asked asked;
    struct search_spec spec;
    char name[64];
    int64_t all_ns = 0, ns = 0;
    uint64_t n = 0;

    asked_begin(&asked, ops, &spec, options);
    while (n < options->evaluations && all_ns < SECONDS * INT64_C(1000000000)) {
        n += ask_and_tell(&asked, &spec, &ns);
        all_ns += ns;
    }
    ops->free(asked.controller);
    (void)snprintf(name, sizeof name, "%s, %llu evaluations", ops->name, (unsigned long long)n);
    report(options, name, "ask_tell_ns", (double)all_ns / (double)n, "draw_one", sample_ns(options));
}

/* A batch's cost where some rows are known: the mean of the last four before. */
static void bench_asking_model(const struct options *options)
{
    static struct asked asked;
    static const uint64_t marks[] = {100, 300, 600};
    struct search_spec spec;
    char name[64];
    uint64_t n = 0;

    asked_begin(&asked, search_controller_get("model"), &spec, options);
    for (size_t m = 0; m < TL_COUNT_OF(marks); m++) {
        int64_t last_ns[4] = {0};
        while (n < marks[m]) {
            int64_t ns = 0;
            n += ask_and_tell(&asked, &spec, &ns);
            memmove(last_ns, last_ns + 1, 3 * sizeof *last_ns);
            last_ns[3] = ns;
        }
        (void)snprintf(name, sizeof name, "model at %llu rows", (unsigned long long)n);
        report(options, name, "ask_ns", (double)(last_ns[0] + last_ns[1] + last_ns[2] + last_ns[3]) / 4, NULL, 0);
    }
    asked.ops->free(asked.controller);
}

/* ---- the front ----------------------------------------------------------------------------------------------- */

/* Costs of one candidate. With bulge they sum to 1: none dominates another. */
static void draw_costs(struct tl_rng *rng, size_t n_costs, bool bulge, double *ret_costs)
{
    double left = 1;
    for (size_t c = 0; c < n_costs; c++) {
        ret_costs[c] = tl_rng_unit(rng) * (bulge ? left : 1);
        left -= ret_costs[c];
    }
    if (bulge) {
        ret_costs[n_costs - 1] += left;
    }
}

static bool at_most(const double *a, const double *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] <= b[i]) {
        i++;
    }
    return i == n;
}

/* Nanoseconds an offer, with a list. */
static double list_ns(const double *costs, size_t n, size_t n_costs)
{
    static double list[PEER_CANDIDATES][COSTS_MAX];
    size_t n_list = 0;
    const int64_t start_ns = tl_clock_mono_ns();
    for (size_t i = 0; i < n; i++) {
        const double *one = costs + i * COSTS_MAX;
        size_t j = 0;
        while (j < n_list && !at_most(list[j], one, n_costs)) {
            j++;
        }
        if (j < n_list) {
            continue;
        }
        for (j = 0; j < n_list;) {
            if (at_most(one, list[j], n_costs)) {
                memcpy(list[j], list[--n_list], sizeof list[j]);
            } else {
                j++;
            }
        }
        memcpy(list[n_list++], one, sizeof list[0]);
    }
    return (double)(tl_clock_mono_ns() - start_ns) / (double)n;
}

/* Nanoseconds an offer, with a front; *ret_members: how many stay. */
static double front_ns(const double *costs, size_t n, size_t n_costs, size_t *ret_members)
{
    const struct search_spec spec = {.n_front = n_costs, .front = {0, 1, 2, 3}};
    const uint8_t arch[SPACE_VARIABLES_MAX] = {0};
    struct front front;
    struct tl_err err = {0};
    must(front_init(&front, &spec, &space, COSTS_MAX, SEARCH_FRONT_MAX, &err), &err);
    const int64_t start_ns = tl_clock_mono_ns();
    for (size_t i = 0; i < n; i++) {
        (void)front_offer(&front, i, costs + i * COSTS_MAX, arch);
    }
    const double ns = (double)(tl_clock_mono_ns() - start_ns) / (double)n;
    *ret_members = front.n;
    front_done(&front);
    return ns;
}

static void bench_front(const struct options *options, size_t n_costs, bool bulge)
{
    double *costs = calloc(options->candidates, COSTS_MAX * sizeof *costs);
    struct tl_rng rng;
    char name[64];
    double first_ns = 0, last_ns = 0, last = 1;

    if (costs == NULL) {
        die("front", "no memory");
    }
    tl_rng_init(&rng, options->seed, n_costs, bulge);
    for (size_t i = 0; i < options->candidates; i++) {
        draw_costs(&rng, n_costs, bulge, costs + i * COSTS_MAX);
    }
    for (size_t n = PEER_CANDIDATES; n <= options->candidates; n *= 10) {
        size_t n_members = 0;
        const double ns = front_ns(costs, n, n_costs, &n_members);
        const bool peer = n == PEER_CANDIDATES;
        (void)snprintf(name, sizeof name, "%s of %zu, %zu kept of %zu", bulge ? "simplex" : "cloud", n_costs, n_members,
                       n);
        report(options, name, "offer_ns", ns, peer ? "list" : NULL, peer ? list_ns(costs, n, n_costs) : 0);
        first_ns = peer ? ns : first_ns;
        last_ns = ns;
        last = (double)n;
    }
    if (last > PEER_CANDIDATES) {
        const double decades = log(last / PEER_CANDIDATES);
        (void)snprintf(name, sizeof name, "%s of %zu, %d to %.0f", bulge ? "simplex" : "cloud", n_costs,
                       PEER_CANDIDATES, last);
        report_as(options, name, "growth", "exponent", 1 + log(last_ns / first_ns) / decades, "n log n",
                  1 + log(log(last) / log(PEER_CANDIDATES)) / decades);
    }
    free(costs);
}

/* ---- main ---------------------------------------------------------------------------------------------------- */

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value == 0 || value > most) {
        die(text, "not a number within the limits");
    }
    return (unsigned)value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {{"evaluations", required_argument, NULL, 'e'},
                                          {"candidates", required_argument, NULL, 'c'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"seed", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.evaluations = 500000, .candidates = 1000000, .threads = 1, .seed = 1};
    int c = 0;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe): one thread */
        switch (c) {
        case 'e':
            options.evaluations = number(optarg, SEARCH_EVALUATIONS_MAX);
            break;
        case 'c':
            options.candidates = number(optarg, 100000000);
            break;
        case 't':
            options.threads = number(optarg, 256);
            break;
        case 's':
            options.seed = number(optarg, UINT32_MAX);
            break;
        default:
            die("usage", "bench_loop [--evaluations N] [--candidates N] [--threads N] [--seed N]");
        }
    }
    return options;
}

int main(int argc, char **argv)
{
    const struct options options = parse(argc, argv);
    make_space();
    bench_search(&options, "random", 1000, "random");
    bench_search(&options, "evolution", 1000, "evolution");
    bench_search(&options, "evolution", 45, "evolution, cost at most 45");
    bench_search(&options, "evolution", -1, "evolution, nothing allowed");
    for (size_t c = 0; c < search_controller_count(); c++) {
        bench_asking(&options, search_controller_at(c));
    }
    bench_asking_model(&options);
    for (size_t n_costs = 2; n_costs <= COSTS_MAX; n_costs++) {
        bench_front(&options, n_costs, false);
        bench_front(&options, n_costs, true);
    }
    return 0;
}
