/* bench_accuracy.c - held-out error of the models of accuracy, by architecture, beside linear regression on the same
 * folds.
 *
 *     bench_accuracy [--rows FILE] [--space NAME] [--target COLUMN] [--folds N] [--inducing N] [--seeds N] [--threads
 * N]
 *
 * Every seed deals other folds and draws other inducing rows. The default file is that of TAILOR_DATA; where it is
 * absent the bench says so and reports nothing.
 */
#include "server/accuracy_rows.h"
#include "server/space_of_family.h"
#include "tests/bench/bench.h"

#include <getopt.h>
#include <unistd.h>

struct options {
    char rows[512];
    const char *space, *target;
    unsigned folds, inducing, seeds, threads;
};

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || value == 0 || value > most) {
        (void)fprintf(stderr, "bench_accuracy: %s is not a number from 1 to %u\n", text, most);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return (unsigned)value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"rows", 1, NULL, 'r'},    {"space", 1, NULL, 's'},    {"target", 1, NULL, 't'},
        {"folds", 1, NULL, 'f'},   {"inducing", 1, NULL, 'i'}, {"seeds", 1, NULL, 'n'},
        {"threads", 1, NULL, 'j'}, {"help", 0, NULL, '?'},     {0}};
    const char *data = getenv("TAILOR_DATA"); /* NOLINT(concurrency-mt-unsafe): the environment is never written */
    struct options o = {.space = "ofa-mbv3-w1.0",
                        .target = "top1",
                        .folds = 5,
                        .inducing = 1536,
                        .seeds = 3,
                        .threads = tl_cpu_count()};
    int option = 0;
    (void)snprintf(o.rows, sizeof(o.rows), "%s/ofa_mbv3_accuracy/ofa_mbv3_accuracy.csv.gz",
                   data ? data : "../shared/data");
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe) */
        if (option == 'r') {
            (void)snprintf(o.rows, sizeof(o.rows), "%s", optarg);
        } else if (option == 's') {
            o.space = optarg;
        } else if (option == 't') {
            o.target = optarg;
        } else if (option == 'f') {
            o.folds = number(optarg, ACCURACY_FOLDS_MAX);
        } else if (option == 'i') {
            o.inducing = number(optarg, 4096);
        } else if (option == 'n') {
            o.seeds = number(optarg, 1000);
        } else if (option == 'j') {
            o.threads = number(optarg, 1024);
        } else {
            (void)fputs("bench_accuracy [--rows FILE] [--space NAME] [--target COLUMN] [--folds N] [--inducing N] "
                        "[--seeds N] [--threads N]\n",
                        stderr);
            exit(0); /* NOLINT(concurrency-mt-unsafe): one thread */
        }
    }
    return o;
}

static void report(const struct options *o, const char *kind, uint64_t seed, const struct accuracy_score *score,
                   const struct accuracy_score *linear)
{
    struct bench_figure figure = {
        .bench = "accuracy", .name = kind, .peer = "linear", .threads = o->threads, .seed = seed};
    figure.metric = "held-out rmse";
    figure.unit = "points";
    figure.value = score->rmse;
    figure.peer_value = linear->rmse;
    bench_report(&figure);
    figure.metric = "held-out spearman";
    figure.unit = "1";
    figure.value = score->spearman;
    figure.peer_value = linear->spearman;
    bench_report(&figure);
    figure.peer = NULL;
    figure.metric = "coverage of 90 % intervals";
    figure.value = score->coverage;
    bench_report(&figure);
    figure.metric = "mean half width";
    figure.unit = "points";
    figure.value = score->half_width;
    bench_report(&figure);
}

static enum tl_rc bench(const struct options *o, struct space *space, struct accuracy_rows *rows,
                        struct accuracy_plan *plan, struct tl_err *err)
{
    static const struct accuracy_columns others = {"ks", "e", "d", "r", "top1"};
    struct accuracy_columns columns = others;
    struct accuracy_score linear = {0}, score = {0};
    const struct net_family *family = net_family_get(o->space);
    columns.target = o->target;
    enum tl_rc rc = family ? space_of_family(family, space, err) : tl_fail(err, TL_INVALID, "no family %s", o->space);
    rc = rc ? rc : accuracy_rows_read(o->rows, &columns, space, rows, err);
    rc = rc ? rc : tl_pool_new(&plan->pool, o->threads, err);
    for (plan->seed = 1; !rc && plan->seed <= o->seeds; plan->seed++) {
        rc = accuracy_judge_linear(rows, o->folds, plan, &linear, err);
        for (int kind = 0; !rc && kind < MODEL_KIND_COUNT; kind++) {
            rc = accuracy_judge(rows, (enum model_kind)kind, o->folds, plan, &score, err);
            if (!rc) {
                report(o, model_kind_name((enum model_kind)kind), plan->seed, &score, &linear);
            }
        }
    }
    return rc;
}

int main(int argc, char **argv)
{
    const struct options o = parse(argc, argv);
    struct accuracy_rows rows = {0};
    struct accuracy_plan plan = {.n_inducing = o.inducing};
    struct tl_err err = {0};
    static struct space space;

    model_blas_single_thread();
    if (access(o.rows, R_OK) != 0) {
        (void)fprintf(stderr, "bench_accuracy: skipped, %s is not there (set TAILOR_DATA)\n", o.rows);
        return 0;
    }
    const enum tl_rc rc = bench(&o, &space, &rows, &plan, &err);
    if (rc) {
        (void)fprintf(stderr, "bench_accuracy: %s\n", err.text);
    }
    tl_pool_free(plan.pool);
    accuracy_rows_done(&rows);
    return rc ? 1 : 0;
}
