/* bench_transfer.c - what a few measurements on a new device are worth, when others were measured before: predictors
 * that learn from other devices beside simple ones, on published latencies.
 *
 *     bench_transfer [--quick] [--seeds 10] [--k 0,5,10,20,50,900] [--threads N] [--target DEVICE,...]
 *                    [--csv FILE[,FILE...] --prefix P --digits C,... --depth C --numbers C,... --sum C,... --macs C
 *                     --cost-models H,... --families "NAME=H,...;..." --tuned H,...]
 *
 * --quick: only 5, 10 and 20 samples, without protocol U and transfer-far: a quarter of the time.
 *
 * Every column that begins with --prefix (lat_) is a device in turn the target, the others are sources; a trailing batch
 * size is cut off to know its hardware, and the target's own hardware at other batch sizes is no source. Without --csv:
 * NAS-Bench-201, FBNet, OFA-MobileNetV3 and HAT in TAILOR_DATA (default ../shared/data). Settings (parts of the kernel,
 * grids, the noise's scale, sampling) were chosen on every second hardware of NAS-Bench-201 and FBNet in order of their
 * columns, the first, third, ...; the report marks them "tuning" and everything else "judging".
 *
 * Protocol A is HELP's (Lee et al. 2021): samples from architectures 0-899, queries are 900-1899, both without the
 * target's fastest and slowest tenth (which looks at latencies nobody has: the leak is stated, not repaired); U is the same
 * untrimmed. B is MultiPredict's and NASFLAT's: samples from all, queries are all others. k counts every measurement on
 * the target. A seed shuffles the pool; random samples are its first k; chosen ones come of its first half (A, U) or
 * first 900 (B).
 *
 * Methods: transfer (chosen samples), transfer-random, transfer-far (no source of the target's family), and beside them,
 * on random samples, macs, ridge (operator counts, lambda 0.5), table (the same on every position's operator: a lookup
 * table fitted on whole networks) and source (the device whose ranks agree best on the samples, scaled by a line); these
 * also at 3 k.
 *
 * A line of JSON a target, protocol, method and k, with a list over seeds; transfer.py makes tables and tests of them.
 */
#include "base/model/model.h"
#include "bench.h"
#include "transfer_simple.h"
#include "transfer_table.h"

enum { K_MAX = 16, SEEDS_MAX = 64, POOL = 900, QUERIES = 1000, INTERVALS = 500 };

enum method { TRANSFER, TRANSFER_RANDOM, TRANSFER_FAR, MACS, RIDGE, TABLE, SOURCE, METHOD_COUNT };
static const char *const METHOD_NAMES[METHOD_COUNT] = {"transfer", "transfer-random", "transfer-far", "macs",
                                                       "ridge",    "table",           "source"};

enum protocol { HELP_TRIMMED, HELP_UNTRIMMED, ALL_OTHERS, PROTOCOL_COUNT };
static const char *const PROTOCOL_NAMES[PROTOCOL_COUNT] = {"A", "U", "B"};

struct options {
    struct table_spec spec;
    const char *targets;
    size_t k[K_MAX], n_k;
    size_t seeds, threads;
    bool quick;
};

enum score { SPEARMAN, KENDALL, WITHIN_5, WITHIN_10, MAPE, COVERED, WIDTH, SCORE_COUNT };
static const char *const SCORE_NAMES[SCORE_COUNT] = {"spearman", "kendall", "within5", "within10",
                                                     "mape",     "covered", "width"};

/* One target column; a task of the pool. */
struct target {
    const struct options *options;
    const struct table *table;
    size_t device;
    uint32_t *rows; /* where the target is known, in the table's order */
    size_t n_rows;
    struct tl_buf text; /* what it reports */
};

/* A split of one seed. */
struct split {
    uint32_t *pool, *queries; /* the pool shuffled */
    size_t n_pool, n_queries, n_candidates;
};

/* ---- splits -------------------------------------------------------------------------------------------------- */

static double latency(const struct target *target, uint32_t row)
{
    return (double)target->table->values[row * target->table->n_devices + target->device];
}

/* Rows begin..end-1 of the target's, without the fastest and slowest tenth if `trim`. */
static size_t part_of(const struct target *target, size_t begin, size_t end, bool trim, uint32_t *ret_rows)
{
    double sorted[QUERIES];
    size_t n = 0;
    for (size_t i = begin; trim && i < end; i++) {
        sorted[i - begin] = latency(target, target->rows[i]);
    }
    if (trim) {
        qsort(sorted, end - begin, sizeof *sorted, bench_order);
    }
    const size_t tenth = (end - begin) / 10;
    for (size_t i = begin; i < end; i++) {
        const double ms = latency(target, target->rows[i]);
        if (!trim || (ms >= sorted[tenth] && ms <= sorted[end - begin - 1 - tenth])) {
            ret_rows[n++] = target->rows[i];
        }
    }
    return n;
}

static void shuffle(uint32_t *rows, size_t n, uint64_t seed, uint64_t stream)
{
    struct tl_rng rng;
    tl_rng_init(&rng, seed, stream, 0);
    for (size_t i = n; i > 1; i--) {
        const uint32_t j = tl_rng_below(&rng, (uint32_t)i), other = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = other;
    }
}

static struct split split_make(const struct target *target, enum protocol protocol, uint64_t seed)
{
    struct split split = {.pool = bench_must(calloc(target->n_rows, sizeof(uint32_t))),
                          .queries = bench_must(calloc(target->n_rows, sizeof(uint32_t)))};
    if (protocol == ALL_OTHERS) {
        split.n_pool = part_of(target, 0, target->n_rows, false, split.pool);
    } else {
        split.n_pool = part_of(target, 0, POOL, protocol == HELP_TRIMMED, split.pool);
        split.n_queries = part_of(target, POOL, POOL + QUERIES, protocol == HELP_TRIMMED, split.queries);
    }
    shuffle(split.pool, split.n_pool, seed, protocol);
    split.n_candidates = protocol == ALL_OTHERS ? POOL : split.n_pool / 2;
    return split;
}

static void split_free(struct split *split)
{
    free(split->pool);
    free(split->queries);
}

/* ---- simple predictors ------------------------------------------------------------------------------------------ */

/* False: no source is known everywhere. */
static bool fit_source(const struct target *target, const uint32_t *rows, const double *y, size_t k, double *out)
{
    const struct table *table = target->table;
    double *x = bench_must(calloc(table->n + k, sizeof *x)), *shown = x + table->n, best = -2;
    size_t found = SIZE_MAX;
    for (size_t s = 0; s < table->n_devices; s++) {
        bool known = strcmp(table->hardware[s], table->hardware[target->device]) != 0;
        for (size_t i = 0; known && i < k; i++) {
            shown[i] = (double)table->values[rows[i] * table->n_devices + s];
            known = !isnan(shown[i]);
        }
        const double agreement = known ? stat_spearman(shown, y, k) : -2;
        if (known && (found == SIZE_MAX || agreement > best)) {
            best = isnan(agreement) ? -1 : agreement;
            found = s;
        }
    }
    for (size_t i = 0; found != SIZE_MAX && i < table->n; i++) {
        x[i] = (double)table->values[i * table->n_devices + found];
    }
    if (found != SIZE_MAX) {
        fit_line(x, table->n, rows, y, k, out);
    }
    free(x);
    return found != SIZE_MAX;
}

/* False: the method does not exist here. */
static bool fit_simple(const struct target *target, enum method method, const uint32_t *rows, const double *y, size_t k,
                       double *out)
{
    const struct table *table = target->table;
    if (method == MACS && table->macs) {
        fit_line(table->macs, table->n, rows, y, k, out);
        return true;
    }
    if (method == RIDGE || method == TABLE) {
        fit_ridge(method == RIDGE ? table->coarse : table->fine, table->n,
                  method == RIDGE ? table->n_coarse : table->n_fine, rows, y, k, 0.5, out);
        return true;
    }
    return method == SOURCE && fit_source(target, rows, y, k, out);
}

/* ---- scores -------------------------------------------------------------------------------------------------- */

/* Relative errors leave out what is below a twentieth of the median: networks whose input never reaches the output. */
static void judge(const struct target *target, const struct split *split, const double *predicted, bool has_unit,
                  double *scores)
{
    const size_t n = split->n_queries;
    double *truth = bench_must(calloc(3 * n, sizeof *truth)), *value = truth + n, *sorted = value + n;
    size_t counted = 0, within_5 = 0, within_10 = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = truth[i] = latency(target, split->queries[i]);
        value[i] = predicted[split->queries[i]];
    }
    const double least = bench_quantile(sorted, n, 0.5) / 20;
    for (size_t i = 0; i < n; i++) {
        const double error = fabs(value[i] / truth[i] - 1);
        if (truth[i] >= least) {
            counted++;
            sum += error;
            within_5 += error <= 0.05;
            within_10 += error <= 0.10;
        }
    }
    scores[SPEARMAN] = stat_spearman(value, truth, n);
    scores[KENDALL] = stat_kendall(value, truth, n);
    scores[WITHIN_5] = has_unit ? (double)within_5 / (double)counted : (double)NAN;
    scores[WITHIN_10] = has_unit ? (double)within_10 / (double)counted : (double)NAN;
    scores[MAPE] = has_unit ? 100 * sum / (double)counted : (double)NAN;
    free(truth);
}

static void judge_intervals(const struct target *target, const struct split *split, const struct model_few *few,
                            double *scores)
{
    double y[INTERVALS], half[INTERVALS], width = 0;
    struct tl_err err = {0};
    const size_t n = split->n_queries < INTERVALS ? split->n_queries : INTERVALS;
    size_t covered = 0;
    if (model_few_predict(few, split->queries, n, y, half, &err)) {
        bench_die(err.text, "");
    }
    for (size_t i = 0; i < n; i++) {
        covered += fabs(latency(target, split->queries[i]) - y[i]) <= half[i];
        width += half[i] / fabs(y[i]) / (double)n;
    }
    scores[COVERED] = (double)covered / (double)n;
    scores[WIDTH] = 100 * width;
}

/* In protocol B the queries are what was not sampled: of a shuffled pool, so that the first ones are a random choice. */
static void queries_without(struct split *split, const uint32_t *samples, size_t k)
{
    uint32_t most = 0;
    for (size_t i = 0; i < split->n_pool; i++) {
        most = split->pool[i] > most ? split->pool[i] : most;
    }
    bool *sampled = bench_must(calloc((size_t)most + 1, sizeof *sampled));
    for (size_t i = 0; i < k; i++) {
        sampled[samples[i]] = true;
    }
    split->n_queries = 0;
    for (size_t i = split->n_pool; i-- > 0;) {
        if (!sampled[split->pool[i]]) {
            split->queries[split->n_queries++] = split->pool[i];
        }
    }
    free(sampled);
}

/* ---- runs ---------------------------------------------------------------------------------------------------- */

static struct model_transfer *learn(const struct target *target, bool far, size_t k)
{
    const struct table *table = target->table;
    uint32_t group[DEVICES_MAX];
    size_t place[DEVICES_MAX], n = 0;
    struct tl_err err = {0};
    struct model_transfer *transfer = NULL;
    for (size_t s = 0; s < table->n_devices; s++) {
        if (strcmp(table->hardware[s], table->hardware[target->device]) != 0 &&
            !(far && table->family[s] == table->family[target->device])) {
            group[n] = 0;
            while (strcmp(table->hardware[group[n]], table->hardware[s]) != 0) {
                group[n]++;
            }
            place[n++] = s;
        }
    }
    float *values = bench_must(calloc(table->n * (n + 1), sizeof *values));
    for (size_t i = 0; i < table->n * n; i++) {
        values[i] = table->values[i / n * table->n_devices + place[i % n]];
    }
    const struct model_tasks tasks = {.n = table->n,
                                      .n_coarse = table->n_coarse,
                                      .n_fine = table->n_fine,
                                      .n_tasks = n,
                                      .coarse = table->coarse,
                                      .fine = table->fine,
                                      .values = values,
                                      .group = group};
    const enum tl_rc rc = model_transfer_new(&tasks, k, 1, &transfer, &err);
    free(values);
    if (rc && rc != TL_INVALID) {
        bench_die(err.text, "");
    }
    return transfer; /* NULL: the sources are too few */
}

static bool run_transfer(const struct target *target, const struct model_transfer *transfer, enum method method,
                         struct split *split, enum protocol protocol, size_t k, double *predicted, double *scores)
{
    uint32_t *samples = bench_must(calloc(k + target->n_rows, sizeof *samples)), *all = samples + k;
    double *y = bench_must(calloc(k + target->n_rows, sizeof *y)), *values = y + k;
    struct model_few *few = NULL;
    struct tl_err err = {0};
    const size_t candidates = k < split->n_candidates ? split->n_candidates : split->n_pool;
    memcpy(samples, split->pool, k * sizeof *samples);
    if (method != TRANSFER_RANDOM && k < candidates && k < POOL &&
        model_transfer_choose(transfer, split->pool, candidates, k, samples, &err)) {
        bench_die(err.text, "");
    }
    for (size_t i = 0; i < k; i++) {
        y[i] = latency(target, samples[i]);
    }
    if (protocol == ALL_OTHERS) {
        queries_without(split, samples, k);
    }
    memcpy(all, split->queries, split->n_queries * sizeof *all);
    if (model_few_fit(transfer, samples, y, k, &few, &err) ||
        model_few_predict(few, all, split->n_queries, values, NULL, &err)) {
        bench_die(err.text, "");
    }
    for (size_t i = 0; i < split->n_queries; i++) {
        predicted[all[i]] = values[i];
    }
    judge(target, split, predicted, k > 0, scores);
    if (k > 0) {
        judge_intervals(target, split, few, scores);
    }
    model_few_free(few);
    free(samples);
    free(y);
    return true;
}

static bool run_simple(const struct target *target, enum method method, struct split *split, enum protocol protocol,
                       size_t k, double *predicted, double *scores)
{
    double *y = bench_must(calloc(k + 1, sizeof *y));
    for (size_t i = 0; i < k; i++) {
        y[i] = latency(target, split->pool[i]);
    }
    if (protocol == ALL_OTHERS) {
        queries_without(split, split->pool, k);
    }
    const bool exists = fit_simple(target, method, split->pool, y, k, predicted);
    if (exists) {
        judge(target, split, predicted, k > 0, scores);
    }
    free(y);
    return exists;
}

static void print_scores(struct target *target, enum protocol protocol, enum method method, size_t k,
                         const double scores[SEEDS_MAX][SCORE_COUNT])
{
    const struct table *table = target->table;
    const size_t t = target->device;
    struct tl_err err = {0};
    enum tl_rc rc =
        tl_buf_addf(&target->text, &err,
                    "{\"bench\": \"transfer\", \"table\": \"%s\", \"device\": \"%s\", \"hardware\": \"%s\", "
                    "\"part\": \"%s\", \"timed\": %s, \"protocol\": \"%s\", \"method\": \"%s\", \"k\": %zu",
                    table->name, table->device[t], table->hardware[t], table->tuned[t] ? "tuning" : "judging",
                    table->cost_model[t] ? "false" : "true", PROTOCOL_NAMES[protocol], METHOD_NAMES[method], k);
    for (size_t s = 0; !rc && s < SCORE_COUNT; s++) {
        rc = tl_buf_addf(&target->text, &err, ", \"%s\": [", SCORE_NAMES[s]);
        for (size_t seed = 0; !rc && seed < target->options->seeds; seed++) {
            const double value = scores[seed][s];
            rc = isnan(value) ? tl_buf_addf(&target->text, &err, "%snull", seed ? ", " : "")
                              : tl_buf_addf(&target->text, &err, "%s%.6g", seed ? ", " : "", value);
        }
        rc = rc ? rc : tl_buf_addf(&target->text, &err, "]");
    }
    rc = rc ? rc : tl_buf_addf(&target->text, &err, "}\n");
    if (rc) {
        bench_die(err.text, "");
    }
}

/* All seeds of one cell of the table. */
static void run_cell(struct target *target, const struct model_transfer *transfer, enum protocol protocol,
                     enum method method, size_t k)
{
    double scores[SEEDS_MAX][SCORE_COUNT] = {0}, *predicted = bench_must(calloc(target->table->n, sizeof *predicted));
    bool exists = true;
    size_t shown = k;
    for (size_t seed = 0; exists && seed < target->options->seeds; seed++) {
        struct split split = split_make(target, protocol, seed + 1);
        for (size_t s = 0; s < SCORE_COUNT; s++) {
            scores[seed][s] = (double)NAN;
        }
        shown = k < split.n_pool ? k : split.n_pool;
        exists = transfer ? run_transfer(target, transfer, method, &split, protocol, shown, predicted, scores[seed])
                          : run_simple(target, method, &split, protocol, shown, predicted, scores[seed]);
        split_free(&split);
    }
    if (exists) {
        print_scores(target, protocol, method, k, (const double(*)[SCORE_COUNT])scores);
    }
    free(predicted);
}

static bool there(const struct target *target, enum protocol protocol)
{
    return target->n_rows >= POOL + QUERIES || (protocol == ALL_OTHERS && target->n_rows > POOL);
}

/* The simple methods at k, and at 3 k unless the list has that as well. */
static void run_simples(struct target *target, enum protocol protocol, size_t k)
{
    bool again = k == 0 || 3 * k > POOL;
    for (size_t i = 0; i < target->options->n_k; i++) {
        again = again || target->options->k[i] == 3 * k;
    }
    for (enum method m = MACS; m < METHOD_COUNT; m++) {
        if (k > 0 || m == MACS) {
            run_cell(target, NULL, protocol, m, k);
        }
        if (!again) {
            run_cell(target, NULL, protocol, m, 3 * k);
        }
    }
}

static void run_sizes(struct target *target, size_t k)
{
    const bool quick = target->options->quick;
    struct model_transfer *near = learn(target, false, k), *far = k <= 50 && !quick ? learn(target, true, k) : NULL;
    for (enum protocol p = 0; p < PROTOCOL_COUNT; p++) {
        if (!there(target, p) || (quick && p == HELP_UNTRIMMED)) {
            continue;
        }
        if (near) {
            run_cell(target, near, p, TRANSFER, k);
        }
        if (near && k > 0 && k <= 50) {
            run_cell(target, near, p, TRANSFER_RANDOM, k);
        }
        if (far) {
            run_cell(target, far, p, TRANSFER_FAR, k);
        }
        run_simples(target, p, k);
    }
    model_transfer_free(near);
    model_transfer_free(far);
}

static void run_target(void *ctx, size_t task, unsigned thread)
{
    struct target *target = (struct target *)ctx + task;
    (void)thread;
    target->rows = bench_must(calloc(target->table->n, sizeof *target->rows));
    for (size_t i = 0; i < target->table->n; i++) {
        if (!isnan(latency(target, (uint32_t)i))) {
            target->rows[target->n_rows++] = (uint32_t)i;
        }
    }
    for (size_t i = 0; i < target->options->n_k; i++) {
        run_sizes(target, target->options->k[i]);
    }
    free(target->rows);
    (void)fprintf(stderr, "%s %s\n", target->table->name, target->table->device[target->device]);
}

/* ---- arguments ----------------------------------------------------------------------------------------------- */

static void take_numbers(struct options *o, const char *list)
{
    char item[NAME_MAX_BYTES];
    o->n_k = 0;
    while (o->n_k < K_MAX && list_next(&list, ',', item, sizeof item)) {
        o->k[o->n_k++] = strtoull(item, NULL, 10);
    }
}

static bool parse(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        const char **text;
        size_t *number;
    } known[] = {{"--csv", &o->spec.csv, NULL},           {"--prefix", &o->spec.prefix, NULL},
                 {"--digits", &o->spec.digits, NULL},     {"--depth", &o->spec.depth, NULL},
                 {"--numbers", &o->spec.numbers, NULL},   {"--sum", &o->spec.sum, NULL},
                 {"--macs", &o->spec.macs, NULL},         {"--cost-models", &o->spec.cost_models, NULL},
                 {"--families", &o->spec.families, NULL}, {"--tuned", &o->spec.tuned, NULL},
                 {"--target", &o->targets, NULL},         {"--seeds", NULL, &o->seeds},
                 {"--threads", NULL, &o->threads}};
    for (int i = 1; i < argc; i++) {
        bool found = strcmp(argv[i], "--quick") == 0;
        o->quick = o->quick || found;
        if (!found && i + 1 < argc && strcmp(argv[i], "--k") == 0) {
            take_numbers(o, argv[++i]);
            found = true;
        }
        for (size_t a = 0; !found && i + 1 < argc && a < TL_COUNT_OF(known); a++) {
            if (strcmp(argv[i], known[a].name) == 0) {
                found = true;
                i++;
                if (known[a].text) {
                    *known[a].text = argv[i];
                } else {
                    *known[a].number = strtoull(argv[i], NULL, 10);
                }
            }
        }
        if (!found) {
            return false;
        }
    }
    return o->seeds >= 1 && o->seeds <= SEEDS_MAX && o->threads >= 1 && o->threads <= 64;
}

/* The default tables; files that are not there are passed over by name. */
static size_t public_tables(struct table **tables)
{
    static const char gpus[] = "gpu=1080ti,2080ti,titan,v100;phone=essential_ph,samsung,pixel;server=gold,silver";
    static const char tuned[] = "1080ti,essential_ph,fpga,pixel3,silver_4114,titan_rtx,titanxp";
    static const char hat_features[] =
        "encoder_embed_dim,encoder_layer_num,encoder_ffn_embed_dim_avg,encoder_self_attention_heads_avg,"
        "decoder_embed_dim,decoder_layer_num,decoder_ffn_embed_dim_avg,decoder_self_attention_heads_avg,"
        "decoder_ende_attention_heads_avg,decoder_arbitrary_ende_attn_avg";
    const char *root = getenv("TAILOR_DATA"); /* NOLINT(concurrency-mt-unsafe): one thread */
    char paths[4][2048];
    const struct {
        const char *name, *files; /* in the folder `name`, separated by commas */
        struct table_spec spec;
    } known[] = {
        {"nb201", "nb201.csv.gz", {.digits = "ops", .macs = "macs", .cost_models = "eyeriss,fpga", .tuned = tuned}},
        {"fbnet_latency",
         "fbnet_latency.csv.gz",
         {.digits = "ops", .cost_models = "eyeriss,fpga,pixel3", .tuned = tuned}},
        {"ofa_mbv3_latency", "ofa_mbv3_latency.csv.gz", {.digits = "ks,e", .depth = "d", .numbers = "r"}},
        {"hat",
         "wmt14ende_cpu_raspberrypi.csv.gz,wmt14ende_cpu_xeon.csv.gz,wmt14ende_gpu_titanxp.csv.gz,"
         "wmt14enfr_cpu_xeon.csv.gz",
         {.numbers = hat_features, .sum = "latency_mean_encoder,latency_mean_decoder"}},
    };
    size_t n = 0;
    for (size_t i = 0; i < TL_COUNT_OF(known); i++) {
        struct table_spec spec = known[i].spec;
        char file[256];
        size_t at = 0;
        for (const char *files = known[i].files; list_next(&files, ',', file, sizeof file);) {
            at += (size_t)snprintf(paths[i] + at, sizeof paths[i] - at, "%s%.300s/%s/%s", at ? "," : "",
                                   root ? root : "../shared/data", known[i].name, file);
        }
        spec.csv = paths[i];
        spec.prefix = "lat_";
        spec.families = gpus;
        tables[n++] = table_read(known[i].name, &spec);
    }
    return n;
}

static void run_table(const struct options *o, const struct table *table, struct tl_pool *pool)
{
    struct target targets[DEVICES_MAX];
    size_t n = 0;
    for (size_t d = 0; d < table->n_devices; d++) {
        if (!o->targets || listed(o->targets, table->device[d])) {
            targets[n++] = (struct target){.options = o, .table = table, .device = d, .text = {.max = 64 << 20}};
        }
    }
    tl_pool_run(pool, run_target, targets, n);
    for (size_t t = 0; t < n; t++) {
        (void)fputs(targets[t].text.data ? targets[t].text.data : "", stdout);
        tl_buf_done(&targets[t].text);
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct options o = {.spec = {.prefix = "lat_"}, .seeds = 10, .threads = tl_cpu_count()};
    struct table *tables[4];
    struct tl_pool *pool = NULL;
    struct tl_err err = {0};
    size_t n_tables = 1;
    model_blas_single_thread();
    if (!parse(argc, argv, &o)) {
        bench_die("see the head of tests/bench/bench_transfer.c for its arguments", "");
    }
    if (o.n_k == 0) {
        take_numbers(&o, o.quick ? "5,10,20" : "0,5,10,20,50,900");
    }
    if (o.spec.csv) {
        const char *file = strrchr(o.spec.csv, '/');
        tables[0] = table_read(file ? file + 1 : o.spec.csv, &o.spec);
    } else {
        n_tables = public_tables(tables);
    }
    if (tl_pool_new(&pool, (unsigned)o.threads, &err)) {
        bench_die(err.text, "");
    }
    for (size_t t = 0; t < n_tables; t++) {
        run_table(&o, tables[t], pool);
    }
    tl_pool_free(pool);
    return 0;
}
