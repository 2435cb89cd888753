/* cmd_evaluate.c - `tailor evaluate` and `tailor sample-accuracy`: how good sub-networks of a supernet are, measured on
 * images that it was not trained on, batch norm calibrated for each.
 */
#include "server/cli.h"
#include "server/codec_architecture.h"
#include "server/command.h"
#include "server/supernet_use.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    const char *supernet, *data, *architecture, *output, *part_name;
    enum train_part part;
    int64_t n, seed, images, calibration, threads;
};

enum option { SUPERNET, DATA, ARCHITECTURE, OUTPUT, PART, N, SEED, IMAGES, CALIBRATION, THREADS };

static const struct argument KNOWN[] = {
    [SUPERNET] = {"supernet", false}, [DATA] = {"data", false},     [ARCHITECTURE] = {"architecture", false},
    [OUTPUT] = {"output", false},     [PART] = {"part", false},     [N] = {"n", false},
    [SEED] = {"seed", false},         [IMAGES] = {"images", false}, [CALIBRATION] = {"calibration", false},
    [THREADS] = {"threads", false},
};

static enum tl_rc part_set(struct options *options, const char *text, struct tl_err *err)
{
    const bool held = text && strcmp(text, "held-out") == 0;
    if (text && !held && strcmp(text, "test") != 0) {
        return tl_fail(err, TL_INVALID, "--part is test or held-out, not \"%.40s\"", text);
    }
    options->part = held ? TRAIN_PART_HELD : TRAIN_PART_TEST;
    options->part_name = held ? "held-out" : "test";
    return TL_OK;
}

static enum tl_rc options_parse(int argc, char **argv, struct options *options, struct tl_err *err)
{
    const char *values[TL_COUNT_OF(KNOWN)];
    enum tl_rc rc = arguments_values(argc, argv, KNOWN, TL_COUNT_OF(KNOWN), values, err);
    if (rc) {
        return rc;
    }
    if (!values[SUPERNET] || !values[DATA]) {
        return tl_fail(err, TL_INVALID, "give --supernet and --data");
    }
    *options = (struct options){.supernet = values[SUPERNET],
                                .data = values[DATA],
                                .architecture = values[ARCHITECTURE],
                                .output = values[OUTPUT],
                                .n = 200,
                                .seed = 1,
                                .calibration = EVALUATION_CALIBRATION,
                                .threads = tl_cpu_count()};
    (void)((rc = part_set(options, values[PART], err)) ||
           (rc = argument_int("n", values[N], 1, 1000000, &options->n, err)) ||
           (rc = argument_int("seed", values[SEED], 0, INT64_MAX, &options->seed, err)) ||
           (rc = argument_int("images", values[IMAGES], 0, 10000000, &options->images, err)) ||
           (rc = argument_int("calibration", values[CALIBRATION], TRAIN_PLAIN, 1000000, &options->calibration, err)) ||
           (rc = argument_int("threads", values[THREADS], 1, 64, &options->threads, err)));
    return rc;
}

static enum tl_rc use_open(struct supernet_use *use, const struct options *options, struct tl_err *err)
{
    enum tl_rc rc = supernet_use_open(use, options->supernet, options->data, (unsigned)options->threads, err);
    if (rc == TL_OK && options->part == TRAIN_PART_HELD && (rc = supernet_use_held_out(use, options->data, err))) {
        supernet_use_done(use);
    }
    return rc;
}

/* Accuracy in points. */
static enum tl_rc measure(struct supernet_use *use, const struct options *options, const struct net_pick *pick,
                          double *ret_points, struct tl_err *err)
{
    const float *stats = NULL;
    double share = 0.0;
    enum tl_rc rc = evaluation_calibrate(use->evaluation, pick, (size_t)options->calibration, &stats, err);
    rc = rc ? rc
            : evaluation_accuracy(use->evaluation, pick, stats, options->part, (size_t)options->images, &share, err);
    *ret_points = 100.0 * share;
    return rc;
}

/* ---- evaluate ------------------------------------------------------------------------------------------------ */

static enum tl_rc print_one(struct supernet_use *use, const struct options *options, const char *name,
                            const struct net_pick *pick, struct tl_err *err)
{
    struct network *net = malloc(sizeof *net);
    struct net_cost cost = {0};
    double points = 0.0;
    enum tl_rc rc = net ? net_build(&use->net->family, pick, net, err) : tl_fail(err, TL_NO_MEMORY, "no memory");
    if (rc == TL_OK) {
        net_cost_total(net, &cost);
        rc = measure(use, options, pick, &points, err);
    }
    if (rc == TL_OK) {
        printf("%-12s %6.2f points on the %s images, at %u pixels; %.2f million MACs, %.3f million parameters\n", name,
               points, options->part_name, pick->resolution, (double)cost.macs * 1e-6, (double)cost.params * 1e-6);
        (void)fflush(stdout);
    }
    free(net);
    return rc;
}

static enum tl_rc run_evaluate(int argc, char **argv, struct tl_err *err)
{
    struct options options;
    struct supernet_use use;
    struct net_pick pick;
    enum tl_rc rc = options_parse(argc, argv, &options, err);
    if (rc || (rc = use_open(&use, &options, err))) {
        return rc;
    }
    if (options.architecture) {
        rc = architecture_load(options.architecture, &use.net->family, &pick, err);
        rc = rc ? rc : print_one(&use, &options, "architecture", &pick, err);
    } else {
        pick = supernet_smallest(&use.net->family);
        rc = print_one(&use, &options, "smallest", &pick, err);
        pick = supernet_largest(&use.net->family);
        rc = rc ? rc : print_one(&use, &options, "largest", &pick, err);
    }
    supernet_use_done(&use);
    return rc;
}

const struct command command_evaluate = {
    .name = "evaluate",
    .summary = "measure a sub-network's accuracy with the weights it inherits",
    .help =
        "usage: tailor evaluate --supernet FILE --data IMAGES [--architecture FILE.json] [OPTIONS]\n"
        "\n"
        "Batch norm is calibrated for the sub-network on training images, then its accuracy is measured. Without an\n"
        "architecture: the smallest and the largest.\n"
        "\n"
        "  --part NAME       test (default) or held-out: the training images that training did not see, where the supernet\n"
        "                    says that it held some out, and IMAGES are those that it was trained on\n"
        "  --images N        measure on N of them, the same in every run (all)\n"
        "  --calibration N   training images to calibrate on (2000)\n"
        "  --threads N       (as many as there are processors); the result does not depend on it\n"
        "\n"
        "example: tailor evaluate --supernet my-supernet/supernet.safetensors --data mnist\n",
    .run = run_evaluate,
};

/* ---- sample-accuracy ----------------------------------------------------------------------------------------- */

static const char HEADER[] = "ks,e,d,r,macs,params,top1\n";

/* One row. ks, e, d are a digit a slot or stage. */
static enum tl_rc add_row(struct supernet_use *use, const struct net_pick *pick, double points, struct tl_buf *rows,
                          struct tl_err *err)
{
    const struct net_family *family = &use->net->family;
    const size_t slots = net_family_slots(family, family->n_stages);
    struct network *net = malloc(sizeof *net);
    char ks[NET_SLOTS_MAX + 1] = "", e[NET_SLOTS_MAX + 1] = "", d[NET_STAGES_MAX + 1] = "";
    struct net_cost cost = {0};
    enum tl_rc rc = net ? net_build(family, pick, net, err) : tl_fail(err, TL_NO_MEMORY, "no memory");
    if (rc == TL_OK) {
        net_cost_total(net, &cost);
        for (size_t i = 0; i < slots; i++) {
            ks[i] = (char)('0' + family->choices[pick->choice[i]].kernel);
            e[i] = (char)('0' + family->choices[pick->choice[i]].expand);
        }
        for (size_t s = 0; s < family->n_stages; s++) {
            d[s] = (char)('0' + pick->depth[s]);
        }
        rc = tl_buf_addf(rows, err, "%s,%s,%s,%u,%" PRIu64 ",%" PRIu64 ",%.4f\n", ks, e, d, pick->resolution, cost.macs,
                         cost.params, points);
    }
    free(net);
    return rc;
}

/* The first line: what the rows are of. The name of the data ends it, since it may hold anything but a line's end. */
static enum tl_rc add_facts(const struct supernet_use *use, const struct options *options, struct tl_buf *facts,
                            struct tl_err *err)
{
    char hash[TL_HASH_TEXT];
    tl_hash_format(&use->hash, hash);
    const enum tl_rc rc = tl_buf_addf(
        facts, err, "# supernet=%s part=%s images=%" PRId64 " calibration=%" PRId64 " seed=%" PRId64 " data=%.1000s",
        hash, options->part_name, options->images, options->calibration, options->seed, options->data);
    for (size_t i = 0; i < facts->len; i++) {
        if ((unsigned char)facts->data[i] < ' ') {
            facts->data[i] = '?';
        }
    }
    return rc ? rc : tl_buf_add(facts, "\n", 1, err);
}

/* The length of the word that begins `text`; the data's name may hold spaces. */
static size_t word_of(const char *text)
{
    return strcspn(text, strncmp(text, "data=", 5) == 0 ? "\n" : " \n");
}

/* Go on only where every fact is the same; `theirs` ends where its line does. */
static enum tl_rc same_facts(const char *path, const char *theirs, const char *ours, struct tl_err *err)
{
    size_t n = word_of(theirs), m = word_of(ours);
    while (n == m && memcmp(theirs, ours, n) == 0 && theirs[n] == ours[m] && ours[m] != '\n') {
        theirs += n + 1;
        ours += m + 1;
        n = word_of(theirs);
        m = word_of(ours);
    }
    if (n == m && memcmp(theirs, ours, n) == 0 && theirs[n] == ours[m]) {
        return TL_OK;
    }
    return tl_fail(err, TL_CONFLICT, "the rows in %.160s were measured with %.*s, not with %.*s; name another --output",
                   path, (int)(n < 100 ? n : 100), theirs, (int)(m < 100 ? m : 100), ours);
}

/* Only whole lines are rows: what a crash cut off is measured again. */
static void drop_half_line(struct tl_buf *rows)
{
    while (rows->len > 0 && rows->data[rows->len - 1] != '\n') {
        rows->len--;
    }
    if (rows->data) {
        rows->data[rows->len] = '\0';
    }
}

static size_t count_lines(const struct tl_buf *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->len; i++) {
        n += rows->data[i] == '\n';
    }
    return n;
}

enum { LINES_BEFORE_ROWS = 2 };

/* What an earlier run left: whole rows; facts and header if there is nothing. */
static enum tl_rc begin_rows(const struct supernet_use *use, const struct options *options, struct tl_buf *rows,
                             struct tl_err *err)
{
    TL_AUTO(tl_buf) facts = {0};
    const char *path = options->output;
    enum tl_rc rc = add_facts(use, options, &facts, err);
    if (rc) {
        return rc;
    }
    rc = tl_file_read(path, rows, NULL);
    drop_half_line(rows);
    if (rc == TL_NOT_FOUND || (rc == TL_OK && rows->len == 0)) {
        rc = tl_buf_add(rows, facts.data, facts.len, err);
        return rc ? rc : tl_buf_add(rows, HEADER, strlen(HEADER), err);
    }
    const char *line = rc == TL_OK && rows->data[0] == '#' ? strchr(rows->data, '\n') : NULL;
    if (rc || !line || strncmp(line + 1, HEADER, strlen(HEADER)) != 0) {
        return tl_fail(
            err, rc ? rc : TL_CONFLICT,
            "%.200s cannot be read, does not begin with what its rows were measured on, or holds other columns "
            "than %.*s; name another --output",
            path, (int)strlen(HEADER) - 1, HEADER);
    }
    return same_facts(path, rows->data, facts.data, err);
}

/* Rows up to options->n; *ret_n: those there are. */
static enum tl_rc sample(struct supernet_use *use, const struct options *options, size_t *ret_n, struct tl_err *err)
{
    TL_AUTO(tl_buf) rows = {.max = 256U << 20};
    struct cli_ticker ticker = {0};
    enum tl_rc rc = begin_rows(use, options, &rows, err);
    const size_t first = rc ? 0 : count_lines(&rows) - LINES_BEFORE_ROWS;
    const int64_t begun = tl_clock_mono_ns();
    size_t n = first;
    for (; rc == TL_OK && n < (size_t)options->n; n++) {
        struct tl_rng rng;
        double points = 0.0;
        tl_rng_init(&rng, (uint64_t)options->seed, 0x7361, n); /* row n is the same, whatever was measured before */
        const struct net_pick pick = supernet_random(&use->net->family, &rng);
        rc = measure(use, options, &pick, &points, err);
        rc = rc ? rc : add_row(use, &pick, points, &rows, err);
        rc = rc ? rc : tl_file_write(options->output, rows.data, rows.len, err);
        const double seconds = (double)(tl_clock_mono_ns() - begun) * 1e-9, done = (double)(n + 1 - first);
        char text[64];
        (void)snprintf(text, sizeof text, "%.2f points, %.0f networks a minute", points, 60.0 * done / seconds);
        cli_ticker_show(&ticker, "measuring", text, (double)(n + 1), (double)options->n, "networks",
                        seconds / done * (double)((size_t)options->n - n - 1));
    }
    *ret_n = n;
    cli_ticker_done(&ticker);
    return rc;
}

static enum tl_rc run_sample(int argc, char **argv, struct tl_err *err)
{
    struct options options;
    struct supernet_use use;
    size_t n = 0;
    enum tl_rc rc = options_parse(argc, argv, &options, err);
    if (rc == TL_OK && !options.output) {
        rc = tl_fail(err, TL_INVALID, "give --output FILE.csv");
    }
    if (rc || (rc = use_open(&use, &options, err))) {
        return rc;
    }
    rc = sample(&use, &options, &n, err);
    supernet_use_done(&use);
    if (rc == TL_OK) {
        printf("%s has %zu sub-networks; tailor fit-accuracy makes a model of them\n", options.output, n);
    }
    return rc;
}

const struct command command_sample_accuracy = {
    .name = "sample-accuracy",
    .summary = "measure the accuracy of random sub-networks, for an accuracy model",
    .help =
        "usage: tailor sample-accuracy --supernet FILE --data IMAGES --output ROWS.csv [OPTIONS]\n"
        "\n"
        "Row i is drawn from the seed and i alone, and written as soon as it is measured: the same command goes on where\n"
        "it was stopped. The first line of ROWS.csv says what was measured on what: a command with another supernet or\n"
        "other options does not go on in it. For a model that a search will trust, measure on --part held-out, and keep\n"
        "the test images for the last word.\n"
        "\n"
        "  --n N             sub-networks (200)\n"
        "  --seed N          (1)\n"
        "  --part NAME       test (default) or held-out: the training images that training did not see, where the supernet\n"
        "                    says that it held some out, and IMAGES are those that it was trained on\n"
        "  --images N        measure on N of them, the same in every run (all)\n"
        "  --calibration N   training images to calibrate batch norm on (2000)\n"
        "  --threads N       (as many as there are processors); the result does not depend on it\n"
        "\n"
        "example: tailor sample-accuracy --supernet my-supernet/supernet.safetensors --data mnist --part held-out \\\n"
        "             --output rows.csv\n",
    .run = run_sample,
};
