/* bench_search.c - the whole search loop on the inputs of once-for-all's tutorial: what it finds and how fast, over seeds.
 *
 * Inputs are arguments, so that other tables and predictors can be tried. The peer in the same run is the dense bound: how
 * many evaluations a second a plain matrix product of the predictor's hidden layer (sgemm 1000 x 400 x 400, one thread)
 * would allow if the whole 128-400-400-400-1 network ran at its rate.
 */
#include "base/model/model.h"
#include "bench.h"
#include "server/accuracy.h"
#include "server/evaluator.h"
#include "server/space_of_family.h"
#include <cblas.h>
#include <string.h>

enum { TABLES_MAX = 32, SEEDS_MAX = 1000 };
/* Multiply-adds of one evaluation of OFA's predictor: 128x400 + 2 x 400x400 + 400. */
static const double PREDICTOR_MACS = 128.0 * 400 + 2.0 * 400 * 400 + 400;

struct options {
    const char *space, *predictor, *controller;
    const char *tables[TABLES_MAX]; /* RESOLUTION=FILE */
    size_t n_tables;
    double limit_ms;
    uint64_t evaluations, first_seed, seeds;
};

static void usage(void)
{
    fputs("usage: bench_search [--space ofa-mbv3-w1.2] [--predictor FILE] [--table RESOLUTION=FILE ...] [--limit MS]\n"
          "                    [--controller evolution] [--evaluations 50100] [--seeds 20] [--first-seed 1]\n"
          "Defaults: the tutorial's files in TAILOR_DATA (default ../shared/data), limit 25 ms.\n",
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
        } else if (strcmp(name, "--limit") == 0) {
            o->limit_ms = strtod(value, NULL);
        } else if (strcmp(name, "--controller") == 0) {
            o->controller = value;
        } else if (strcmp(name, "--evaluations") == 0) {
            o->evaluations = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--seeds") == 0) {
            o->seeds = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--first-seed") == 0) {
            o->first_seed = strtoull(value, NULL, 10);
        } else {
            return false;
        }
    }
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

static enum tl_rc run_seed(struct evaluator *evaluator, const struct options *o, uint64_t seed, double *ret_best,
                           double *ret_seconds, double *ret_proposals, struct tl_err *err)
{
    struct search_spec spec = {.objective = METRIC_ACCURACY,
                               .maximize = true,
                               .n_limits = 1,
                               .limits = {{METRIC_LATENCY_MS, false, o->limit_ms}},
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

    memcpy(spec.controller, o->controller, strnlen(o->controller, sizeof(spec.controller) - 1));
    if ((rc = search_run_new(evaluator_space(evaluator), evaluator_table(evaluator), &spec, NULL, &run, err))) {
        return rc;
    }
    while (!done && !rc) {
        rc = search_run_step(run, 10000, &done, err);
    }
    *ret_best = search_run_best(run, &best) ? best.values[METRIC_ACCURACY] : (double)NAN;
    *ret_seconds = search_run_seconds(run);
    *ret_proposals = (double)search_run_proposals(run);
    search_run_free(run);
    return rc;
}

static void report(const struct options *o, const char *metric, double value, const char *unit, const char *peer,
                   double peer_value)
{
    bench_report(&(struct bench_figure){.bench = "search",
                                        .name = o->controller,
                                        .metric = metric,
                                        .unit = unit,
                                        .peer = peer,
                                        .value = value,
                                        .peer_value = peer_value,
                                        .threads = 1,
                                        .seed = o->first_seed});
}

static enum tl_rc run_all(const struct options *o, struct evaluator *evaluator, struct tl_err *err)
{
    static double best[SEEDS_MAX], rate[SEEDS_MAX], bound[SEEDS_MAX], ratio[SEEDS_MAX], seconds[SEEDS_MAX];
    enum tl_rc rc;

    for (uint64_t i = 0; i < o->seeds; i++) {
        double proposals = 0.0;
        if ((rc = run_seed(evaluator, o, o->first_seed + i, &best[i], &seconds[i], &proposals, err))) {
            return rc;
        }
        rate[i] = (double)o->evaluations / seconds[i];
        bound[i] = dense_bound();
        ratio[i] = rate[i] / bound[i];
        fprintf(stderr, "seed %llu: best %.3f, %.3f s, %.0f evaluations/s (%.2f of the bound), %.0f proposals\n",
                (unsigned long long)(o->first_seed + i), best[i], seconds[i], rate[i], ratio[i], proposals);
    }
    /* Figures of once-for-all's own finder at 25 ms, three seeds: 81.44, 81.78, 81.92. */
    report(o, "best, median", bench_quantile(best, o->seeds, 0.5), "points", "OFA finder at 25 ms (median of 3)",
           81.78);
    report(o, "best, worst seed", bench_quantile(best, o->seeds, 0.0), "points", NULL, 0.0);
    report(o, "best, best seed", bench_quantile(best, o->seeds, 1.0), "points", NULL, 0.0);
    report(o, "seconds, median", bench_quantile(seconds, o->seeds, 0.5), "s", NULL, 0.0);
    report(o, "evaluations a second, median", bench_quantile(rate, o->seeds, 0.5), "1/s", "dense bound (sgemm)",
           bench_quantile(bound, o->seeds, 0.5));
    report(o, "share of the bound, worst seed", bench_quantile(ratio, o->seeds, 0.0), "1", NULL, 0.0);
    return TL_OK;
}

int main(int argc, char **argv)
{
    struct options o = {.space = "ofa-mbv3-w1.2",
                        .controller = "evolution",
                        .limit_ms = 25.0,
                        .evaluations = 50100,
                        .first_seed = 1,
                        .seeds = 20};
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
    evaluator_free(evaluator);
    lat_model_free(latency);
    accuracy_free(accuracy);
    if (rc) {
        fprintf(stderr, "bench_search: %s\n", err.text);
    }
    return rc ? 1 : 0;
}
