/* bench_search.c - every controller on the inputs of once-for-all's tutorial: what is found after how many evaluations,
 * and how fast, over seeds and limits.
 *
 * Inputs are arguments, so that other tables and predictors can be tried. Controllers were tuned at 15, 20, 25 and 35 ms
 * (--part tuning) and are judged at 18, 22, 30, 45 and 60 ms. With --archive N all start from an archive that is built
 * first with N evaluations; how good it is alone stands on stderr "after 1".
 * The peer in the same run is once-for-all's own evolution; that of the speed is the dense bound: how many evaluations a
 * second a plain matrix product of the predictor's hidden layer (sgemm 1000 x 400 x 400, one thread) would allow if the
 * whole 128-400-400-400-1 network ran at its rate.
 */
#include "base/model/model.h"
#include "bench.h"
#include "server/accuracy.h"
#include "server/archive.h"
#include "server/evaluator.h"
#include "server/space_of_family.h"
#include <cblas.h>
#include <string.h>

enum { TABLES_MAX = 32, SEEDS_MAX = 1000, LIMITS_MAX = 16, CONTROLLERS_MAX = 16, CHECKPOINTS_MAX = 64 };
/* Multiply-adds of one evaluation of OFA's predictor: 128x400 + 2 x 400x400 + 400. */
static const double PREDICTOR_MACS = 128.0 * 400 + 2.0 * 400 * 400 + 400;

struct options {
    const char *space, *predictor;
    const char *tables[TABLES_MAX]; /* RESOLUTION=FILE */
    size_t n_tables;
    const char *controllers[CONTROLLERS_MAX];
    size_t n_controllers;
    double limits_ms[LIMITS_MAX];
    size_t n_limits;
    uint64_t evaluations, first_seed, seeds;
    uint64_t archive; /* evaluations that build one, from which all searches start; 0: none */
};

/* What searches start from; NULL: nothing. */
static struct archive *archive;

static void usage(void)
{
    fputs("usage: bench_search [--space ofa-mbv3-w1.2] [--predictor FILE] [--table RESOLUTION=FILE ...]\n"
          "                    [--part judging|tuning] [--limit MS ...] [--controller NAME ...] [--evaluations 50100]\n"
          "                    [--seeds 20] [--first-seed 1] [--archive 0]\n"
          "Defaults: the tutorial's files in TAILOR_DATA (default ../shared/data), the limits for judging, and auto,\n"
          "evolution, natural-gradient, distinct-evolution, nsga2, reinforce, aging-evolution and random.\n",
          stderr);
}

/* Data from outside the repository; NULL when it is not there. */
static char *data_file(const char *name)
{
    const char *root = getenv("TAILOR_DATA");
    struct tl_buf path = {0};

    if (tl_buf_addf(&path, NULL, "%s/ofa_note10/%s", root ? root : "../shared/data", name)) {
        return NULL;
    }
    return tl_buf_take(&path);
}

static void take_part(struct options *o, const char *part)
{
    static const double tuning[] = {15, 20, 25, 35}, judging[] = {18, 22, 30, 45, 60};
    const bool tunes = strcmp(part, "tuning") == 0;
    o->n_limits = tunes ? TL_COUNT_OF(tuning) : TL_COUNT_OF(judging);
    memcpy(o->limits_ms, tunes ? tuning : judging, o->n_limits * sizeof *tuning);
}

static void take_defaults(struct options *o)
{
    static const char *const usual[] = {"auto",  "evolution", "natural-gradient", "distinct-evolution",
                                        "nsga2", "reinforce", "aging-evolution",  "random"};
    if (o->n_limits == 0) {
        take_part(o, "judging");
    }
    if (o->n_controllers == 0) {
        o->n_controllers = TL_COUNT_OF(usual);
        memcpy(o->controllers, usual, sizeof usual);
    }
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--space") == 0) {
            o->space = value;
        } else if (strcmp(name, "--predictor") == 0) {
            o->predictor = value;
        } else if (strcmp(name, "--table") == 0 && o->n_tables < TABLES_MAX) {
            o->tables[o->n_tables++] = value;
        } else if (strcmp(name, "--part") == 0) {
            take_part(o, value);
        } else if (strcmp(name, "--limit") == 0 && o->n_limits < LIMITS_MAX) {
            o->limits_ms[o->n_limits++] = strtod(value, NULL);
        } else if (strcmp(name, "--controller") == 0 && o->n_controllers < CONTROLLERS_MAX) {
            o->controllers[o->n_controllers++] = value;
        } else if (strcmp(name, "--evaluations") == 0) {
            o->evaluations = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--seeds") == 0) {
            o->seeds = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--first-seed") == 0) {
            o->first_seed = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--archive") == 0) {
            o->archive = strtoull(value, NULL, 10);
        } else {
            return false;
        }
    }
    take_defaults(o);
    return argc % 2 == 1 && o->seeds >= 1 && o->seeds <= SEEDS_MAX && o->evaluations >= 1;
}

static enum tl_rc load_accuracy(const struct options *o, const struct net_family *family, struct accuracy_model **ret,
                                struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct space *space = calloc(1, sizeof(*space));
    char *file = o->predictor ? NULL : data_file("acc_predictor.safetensors");
    enum tl_rc rc;

    (void)((rc = tl_file_read(file ? file : o->predictor, &bytes, err)) || (rc = space_of_family(family, space, err)) ||
           (rc = accuracy_import_ofa(bytes.data, bytes.len, space, ret, err)));
    free(file);
    free(space);
    return rc;
}

static enum tl_rc load_latency(const struct options *o, const struct net_family *family, struct lat_model **ret,
                               struct tl_err *err)
{
    static const unsigned defaults[] = {160, 176, 192, 208, 224};
    struct lat_table_text texts[TABLES_MAX];
    struct tl_buf bytes[TABLES_MAX] = {{0}};
    size_t n = o->n_tables ? o->n_tables : TL_COUNT_OF(defaults);
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < n && !rc; i++) {
        struct tl_buf name = {0};
        const char *equals = o->n_tables ? strchr(o->tables[i], '=') : NULL;
        char *file = NULL;
        texts[i].resolution = equals ? (unsigned)strtoul(o->tables[i], NULL, 10) : defaults[i % TL_COUNT_OF(defaults)];
        if (!equals && !tl_buf_addf(&name, NULL, "%u_lookup_table.yaml", texts[i].resolution)) {
            file = data_file(name.data);
        }
        bytes[i].max = 4 << 20;
        rc = tl_file_read(equals ? equals + 1 : file, &bytes[i], err);
        texts[i].yaml = bytes[i].data;
        texts[i].n = bytes[i].len;
        free(file);
        tl_buf_done(&name);
    }
    rc = rc ? rc : lat_model_import(family, texts, n, ret, err);
    for (size_t i = 0; i < n; i++) {
        tl_buf_done(&bytes[i]);
    }
    return rc;
}

/* Evaluations a second that sgemm alone would allow, over about 60 ms. */
static double dense_bound(void)
{
    enum { M = 1000, K = 400, N = 400, TIMES = 20 };
    static float a[M * K], b[K * N], c[M * N];
    int64_t start;

    for (size_t i = 0; i < M * K; i++) {
        a[i] = (float)(i % 7) * 0.1F;
    }
    for (size_t i = 0; i < K * N; i++) {
        b[i] = (float)(i % 5) * 0.1F;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, N, K, 1.0F, a, K, b, N, 0.0F, c, N);
    start = tl_clock_mono_ns();
    for (int i = 0; i < TIMES; i++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, N, K, 1.0F, a, K, b, N, 0.0F, c, N);
    }
    double seconds = (double)(tl_clock_mono_ns() - start) * 1e-9;
    return (double)M * K * N * TIMES / seconds / PREDICTOR_MACS;
}

/* Best after these, of every seed: the table on stderr. */
static const double checkpoints[] = {1, 300, 1000, 2000, 5000, 15000, 50100};
static double at_checkpoint[TL_COUNT_OF(checkpoints)][SEEDS_MAX];

static void note_checkpoints(const struct search_run *run, uint64_t index)
{
    const struct search_point *points;
    const size_t n = search_run_history(run, &points);
    for (size_t c = 0; c < TL_COUNT_OF(checkpoints); c++) {
        at_checkpoint[c][index] = 0;
        for (size_t i = 0; i < n && (double)points[i].evaluations <= checkpoints[c]; i++) {
            at_checkpoint[c][index] = isnan(points[i].best) ? 0 : points[i].best;
        }
    }
}

static void print_checkpoints(const struct options *o, double limit_ms, const char *controller)
{
    for (size_t c = 0; c < TL_COUNT_OF(checkpoints) && checkpoints[c] <= (double)o->evaluations; c++) {
        fprintf(stderr, "%g ms, %s, after %5g: %.3f %.3f %.3f\n", limit_ms, controller, checkpoints[c],
                bench_quantile(at_checkpoint[c], o->seeds, 0.0), bench_quantile(at_checkpoint[c], o->seeds, 0.5),
                bench_quantile(at_checkpoint[c], o->seeds, 1.0));
    }
}

/* Points of the history that are reported: about three a decade. */
static void report_history(const char *controller, double limit_ms, uint64_t seed, const struct search_run *run)
{
    const struct search_point *points;
    const size_t n = search_run_history(run, &points);
    double next = 100;
    for (size_t i = 0; i < n; i++) {
        if ((double)points[i].evaluations < next && i + 1 < n) {
            continue;
        }
        next = fmax(next, (double)points[i].evaluations) * 2;
        if (!isnan(points[i].best)) {
            printf("{\"bench\": \"search\", \"case\": \"accuracy where latency <= %g ms\", \"controller\": \"%s\", "
                   "\"seed\": %llu, \"evaluations\": %llu, \"metric\": \"best\", \"value\": %.6g, \"unit\": "
                   "\"points\", \"threads\": 1, \"seconds\": %.4g}\n",
                   limit_ms, controller, (unsigned long long)seed, (unsigned long long)points[i].evaluations,
                   points[i].best, search_run_seconds(run));
        }
    }
}

/* The archive's best under the limits, in the terms of the search. */
static enum tl_rc take_starts(struct evaluator *evaluator, struct search_spec *spec, uint8_t *genes, struct tl_err *err)
{
    static uint32_t starts[SEARCH_STARTS_MAX];
    const size_t width = evaluator_space(evaluator)->n_variables;
    const enum tl_rc rc = archive_starts(archive, spec, starts, &spec->n_starts, err);
    for (size_t i = 0; !rc && i < spec->n_starts; i++) {
        struct archive_member member;
        archive_at(archive, starts[i], &member);
        (void)evaluator_narrow_arch(evaluator, member.genes, genes + i * width);
    }
    spec->starts = genes;
    return rc;
}

static enum tl_rc run_seed(struct evaluator *evaluator, const struct options *o, const char *controller,
                           double limit_ms, uint64_t seed, double *ret_best, double *ret_seconds, struct tl_err *err)
{
    struct search_spec spec = {.objective = METRIC_ACCURACY,
                               .maximize = true,
                               .n_limits = 1,
                               .limits = {{METRIC_LATENCY_MS, false, limit_ms}},
                               .n_front = 2,
                               .front = {METRIC_ACCURACY, METRIC_LATENCY_MS},
                               .front_max = 1U << METRIC_ACCURACY,
                               .seed = seed,
                               .budget_evaluations = o->evaluations,
                               .sample_size = 10000};
    struct search_run *run = NULL;
    struct search_candidate best;
    bool done = false;
    enum tl_rc rc;

    (void)snprintf(spec.controller, sizeof spec.controller, "%s", controller);
    static uint8_t genes[SEARCH_STARTS_MAX * SPACE_VARIABLES_MAX];
    if (archive && (rc = take_starts(evaluator, &spec, genes, err))) {
        return rc;
    }
    if ((rc = search_run_new(evaluator_space(evaluator), evaluator_table(evaluator), &spec, NULL, &run, err))) {
        return rc;
    }
    while (!done && !rc) {
        rc = search_run_step(run, 10000, &done, err);
    }
    report_history(controller, limit_ms, seed, run);
    note_checkpoints(run, seed - o->first_seed);
    *ret_best = search_run_best(run, &best) ? best.values[METRIC_ACCURACY] : 0;
    *ret_seconds = search_run_seconds(run);
    search_run_free(run);
    return rc;
}

static void report(const struct options *o, const char *controller, double limit_ms, const char *metric, double value,
                   const char *unit, const char *peer, double peer_value)
{
    char name[96];
    (void)snprintf(name, sizeof name, "%s at %g ms", controller, limit_ms);
    bench_report(&(struct bench_figure){.bench = "search",
                                        .name = name,
                                        .metric = metric,
                                        .unit = unit,
                                        .peer = peer,
                                        .value = value,
                                        .peer_value = peer_value,
                                        .threads = 1,
                                        .seed = o->first_seed});
}

static enum tl_rc run_controller(const struct options *o, struct evaluator *evaluator, const char *controller,
                                 double limit_ms, struct tl_err *err)
{
    static double best[SEEDS_MAX], rate[SEEDS_MAX], bound[SEEDS_MAX], seconds[SEEDS_MAX];
    for (uint64_t i = 0; i < o->seeds; i++) {
        const enum tl_rc rc =
            run_seed(evaluator, o, controller, limit_ms, o->first_seed + i, &best[i], &seconds[i], err);
        if (rc) {
            return rc;
        }
        rate[i] = (double)o->evaluations / seconds[i];
        bound[i] = dense_bound();
    }
    print_checkpoints(o, limit_ms, controller);
    fprintf(stderr, "%g ms, %s: worst %.3f, median %.3f, best %.3f, %.2f s\n", limit_ms, controller,
            bench_quantile(best, o->seeds, 0.0), bench_quantile(best, o->seeds, 0.5),
            bench_quantile(best, o->seeds, 1.0), bench_quantile(seconds, o->seeds, 0.5));
    report(o, controller, limit_ms, "evaluations a second, median", bench_quantile(rate, o->seeds, 0.5), "1/s",
           "dense bound (sgemm)", bench_quantile(bound, o->seeds, 0.5));
    return TL_OK;
}

/* How good the archive alone is, and what it cost. */
static enum tl_rc build_archive(const struct options *o, struct evaluator *evaluator, struct tl_err *err)
{
    struct archive_build *build = NULL;
    bool done = o->archive == 0;
    const int64_t begin_ns = tl_clock_mono_ns();
    enum tl_rc rc = done ? TL_OK : archive_build_new(evaluator, NULL, o->archive, &build, err);
    while (!rc && !done) {
        rc = archive_build_step(build, 2000, &done, err);
    }
    if (!rc && build && !(rc = archive_build_get(build, &archive, err))) {
        fprintf(stderr, "archive: %zu members after %llu evaluations, %.2f s\n", archive_count(archive),
                (unsigned long long)o->archive, (double)(tl_clock_mono_ns() - begin_ns) * 1e-9);
    }
    archive_build_free(build);
    return rc;
}

static enum tl_rc run_all(const struct options *o, struct evaluator *evaluator, struct tl_err *err)
{
    enum tl_rc rc = build_archive(o, evaluator, err);
    for (size_t l = 0; l < o->n_limits; l++) {
        for (size_t c = 0; c < o->n_controllers && !rc; c++) {
            rc = run_controller(o, evaluator, o->controllers[c], o->limits_ms[l], err);
        }
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct options o = {.space = "ofa-mbv3-w1.2", .evaluations = 50100, .first_seed = 1, .seeds = 20};
    struct accuracy_model *accuracy = NULL;
    struct lat_model *latency = NULL;
    struct evaluator *evaluator = NULL;
    const struct net_family *family;
    struct tl_err err = {0};
    enum tl_rc rc;

    if (!parse(argc, argv, &o) || !(family = net_family_get(o.space))) {
        usage();
        return 2;
    }
    model_blas_single_thread();
    (void)((rc = load_accuracy(&o, family, &accuracy, &err)) || (rc = load_latency(&o, family, &latency, &err)) ||
           (rc = evaluator_new(family, accuracy, latency, 1, &evaluator, &err)) || (rc = run_all(&o, evaluator, &err)));
    archive_free(archive);
    evaluator_free(evaluator);
    lat_model_free(latency);
    accuracy_free(accuracy);
    if (rc) {
        fprintf(stderr, "bench_search: %s\n", err.text);
    }
    return rc ? 1 : 0;
}
