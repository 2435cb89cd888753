/* cmd_fit_accuracy.c - `tailor fit-accuracy`: judge both kinds of model on held-out architectures, keep the better one. */
#include "server/accuracy_rows.h"
#include "server/command.h"
#include "server/space_of_family.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *path, *output, *space;
    struct accuracy_columns columns;
    enum model_kind kind; /* MODEL_KIND_COUNT: the better one */
    size_t n_folds, n_inducing;
    unsigned n_threads;
    uint64_t seed;
};

/* Fits done and to do, for the time that is left. */
struct progress {
    size_t done, all;
    int64_t begun_ns;
};

static enum tl_rc kind_parse(const char *text, enum model_kind *ret_kind, struct tl_err *err)
{
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        if (strcmp(text, model_kind_name((enum model_kind)kind)) == 0) {
            *ret_kind = (enum model_kind)kind;
            return TL_OK;
        }
    }
    *ret_kind = MODEL_KIND_COUNT;
    return strcmp(text, "auto") == 0
               ? TL_OK
               : tl_fail(err, TL_INVALID, "there is no kind %s; there are auto, mlp and kernel", text);
}

enum option { SPACE, KS, E, D, R, TARGET, OUTPUT, KIND, FOLDS, INDUCING, SEED, THREADS };

static const struct argument KNOWN[] = {
    [SPACE] = {"space", false},   [KS] = {"ks", false},
    [E] = {"e", false},           [D] = {"d", false},
    [R] = {"r", false},           [TARGET] = {"target", false},
    [OUTPUT] = {"output", false}, [KIND] = {"kind", false},
    [FOLDS] = {"folds", false},   [INDUCING] = {"inducing", false},
    [SEED] = {"seed", false},     [THREADS] = {"threads", false},
};

static enum tl_rc number_set(struct options *options, enum option option, const char *text, struct tl_err *err)
{
    static const struct {
        int64_t least, most;
    } range[] = {
        [FOLDS] = {2, ACCURACY_FOLDS_MAX}, [INDUCING] = {16, 4096}, [SEED] = {0, INT64_MAX}, [THREADS] = {1, 1024}};
    int64_t value = 0;
    const enum tl_rc rc = argument_int(KNOWN[option].name, text, range[option].least, range[option].most, &value, err);
    if (rc) {
        return rc;
    }
    if (option == FOLDS) {
        options->n_folds = (size_t)value;
    } else if (option == INDUCING) {
        options->n_inducing = (size_t)value;
    } else if (option == THREADS) {
        options->n_threads = (unsigned)value;
    } else {
        options->seed = (uint64_t)value;
    }
    return TL_OK;
}

static enum tl_rc option_set(struct options *options, int option, const char *text, struct tl_err *err)
{
    const char **const texts[] = {
        [SPACE] = &options->space,      [KS] = &options->columns.kernels,   [E] = &options->columns.expands,
        [D] = &options->columns.depths, [R] = &options->columns.resolution, [TARGET] = &options->columns.target,
        [OUTPUT] = &options->output};

    if (option == ARGUMENT_WORD) {
        if (options->path) {
            return tl_fail(err, TL_INVALID, "one file of rows at a time; \"%s\" is too many", text);
        }
        options->path = text;
        return TL_OK;
    }
    if (option == KIND) {
        return kind_parse(text, &options->kind, err);
    }
    if (option > KIND) {
        return number_set(options, (enum option)option, text, err);
    }
    *texts[option] = text;
    return TL_OK;
}

static enum tl_rc options_parse(int argc, char **argv, struct options *options, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv, .known = KNOWN, .n_known = TL_COUNT_OF(KNOWN)};
    const char *text = NULL;
    int option = 0;
    enum tl_rc rc;

    while (!(rc = arguments_next(&arguments, &option, &text, err)) && option != ARGUMENT_END) {
        if ((rc = option_set(options, option, text, err))) {
            return rc;
        }
    }
    return rc || options->path ? rc : tl_fail(err, TL_INVALID, "give one file of rows");
}

static void show_progress(void *ctx, const char *what)
{
    struct progress *progress = ctx;
    const double seconds = (double)(tl_clock_mono_ns() - progress->begun_ns) * 1e-9;

    progress->done++;
    if (seconds > 2.0) {
        const double left = seconds / (double)progress->done * (double)(progress->all - progress->done);
        (void)fprintf(stderr, "fit %zu of %zu done (%s), about %.0f s left\n", progress->done, progress->all, what,
                      left);
    }
}

static void print_score(const char *name, const struct accuracy_score *score)
{
    (void)printf("%-8s %8.4f %10.5f", name, score->rmse, score->spearman);
    if (isnan(score->coverage)) {
        (void)printf(" %12s %12s\n", "-", "-");
    } else {
        (void)printf(" %11.1f%% %12.4f\n", 100.0 * score->coverage, score->half_width);
    }
    (void)fflush(stdout);
}

/* Judge the kinds asked for; the best goes to *ret_kind. */
static enum tl_rc judge_kinds(const struct accuracy_rows *rows, const struct options *options,
                              const struct accuracy_plan *plan, enum model_kind *ret_kind,
                              struct accuracy_score *ret_score, struct tl_err *err)
{
    struct accuracy_score score = {0};
    enum tl_rc rc = accuracy_judge_linear(rows, options->n_folds, plan, &score, err);
    if (rc) {
        return rc;
    }
    (void)printf("%zu rows, %zu folds by architecture; errors in points, of 90 %% intervals\n", rows->n,
                 options->n_folds);
    (void)printf("%-8s %8s %10s %12s %12s\n", "model", "RMSE", "Spearman", "coverage", "half width");
    print_score("linear", &score);
    ret_score->rmse = HUGE_VAL;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        if (options->kind != MODEL_KIND_COUNT && options->kind != (enum model_kind)kind) {
            continue;
        }
        rc = accuracy_judge(rows, (enum model_kind)kind, options->n_folds, plan, &score, err);
        if (rc) {
            return rc;
        }
        print_score(model_kind_name((enum model_kind)kind), &score);
        if (score.rmse < ret_score->rmse) {
            *ret_score = score;
            *ret_kind = (enum model_kind)kind;
        }
    }
    return TL_OK;
}

static enum tl_rc fit_and_write(const struct accuracy_rows *rows, const struct options *options,
                                const struct accuracy_plan *plan, enum model_kind kind,
                                const struct accuracy_score *score, const char *command, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = 64U << 20};
    const char *name = strrchr(options->path, '/');
    struct accuracy_model *model = NULL;
    enum tl_rc rc = accuracy_fit(rows, kind, plan, score, name ? name + 1 : options->path, command, &model, err);

    rc = rc ? rc : accuracy_save(model, &bytes, err);
    rc = rc ? rc : tl_file_write(options->output, bytes.data, bytes.len, err);
    accuracy_free(model);
    if (!rc) {
        (void)printf("%s: the %s model on all rows, %zu bytes\n", options->output, model_kind_name(kind), bytes.len);
    }
    return rc;
}

static enum tl_rc fit(const struct options *options, const char *command, struct space *space, struct tl_err *err)
{
    const size_t n_kinds = options->kind == MODEL_KIND_COUNT ? MODEL_KIND_COUNT : 1;
    struct progress progress = {.all = n_kinds * options->n_folds + (options->output ? 1 : 0),
                                .begun_ns = tl_clock_mono_ns()};
    struct accuracy_plan plan = {
        .n_inducing = options->n_inducing, .seed = options->seed, .progress = show_progress, .progress_ctx = &progress};
    struct accuracy_rows rows = {0};
    struct accuracy_score score = {0};
    enum model_kind kind = MODEL_KERNEL;

    struct net_family family;
    enum tl_rc rc = net_family_find(options->space, &family, err);
    rc = rc ? rc : space_of_family(&family, space, err);
    rc = rc ? rc : accuracy_rows_read(options->path, &options->columns, space, &rows, err);
    rc = rc ? rc : tl_pool_new(&plan.pool, options->n_threads, err);
    rc = rc ? rc : judge_kinds(&rows, options, &plan, &kind, &score, err);
    if (!rc && options->output) {
        rc = fit_and_write(&rows, options, &plan, kind, &score, command, err);
    }
    tl_pool_free(plan.pool);
    accuracy_rows_done(&rows);
    return rc;
}

/* The command with everything that decides the bytes, for the model's facts; files by their names alone. */
static void command_text(const struct options *options, char *text, size_t size)
{
    const char *name = strrchr(options->path, '/');
    const char *space = strrchr(options->space, '/');
    (void)snprintf(text, size,
                   "tailor fit-accuracy --space %s --target %s --folds %zu --inducing %zu --seed %" PRIu64 " %s",
                   space ? space + 1 : options->space, options->columns.target, options->n_folds, options->n_inducing,
                   options->seed, name ? name + 1 : options->path);
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct options options = {.space = "ofa-mbv3-w1.0",
                              .columns = {"ks", "e", "d", "r", "top1"},
                              .kind = MODEL_KIND_COUNT,
                              .n_folds = 5,
                              .n_inducing = 1536,
                              .n_threads = tl_cpu_count(),
                              .seed = 1};
    char command[512];
    enum tl_rc rc = options_parse(argc, argv, &options, err);

    if (rc) {
        return rc;
    }
    command_text(&options, command, sizeof(command));
    struct space *space = calloc(1, sizeof(*space)); /* over 100 KiB: not on the stack */
    rc = space ? fit(&options, command, space, err) : tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    free(space);
    return rc;
}

const struct command command_fit_accuracy = {
    .name = "fit-accuracy",
    .summary = "fit a model of accuracy on measured sub-networks",
    .help =
        "usage: tailor fit-accuracy [OPTIONS] ROWS.csv[.gz]\n"
        "\n"
        "Each row is one sub-network and the accuracy measured for it. The architectures are dealt into folds; each fold is\n"
        "predicted by models fitted on the others, so the errors printed are those on networks never seen. The better kind is\n"
        "then fitted on all rows and written. Repeats of one architecture always share a fold.\n"
        "\n"
        "  --space NAME     the family of the networks, or its FILE.json (default ofa-mbv3-w1.0)\n"
        "  --ks NAME        column with the kernel of every slot, a digit each (default ks)\n"
        "  --e NAME         column with the expand ratio of every slot (default e)\n"
        "  --d NAME         column with the depth of every stage (default d)\n"
        "  --r NAME         column with the resolution (default r)\n"
        "  --target NAME    column with the accuracy in points (default top1)\n"
        "  --kind KIND      mlp, kernel, or auto: the one with the smaller held-out error (default auto)\n"
        "  --folds N        2 to 20 (default 5)\n"
        "  --inducing N     rows the kernel model stands on, 16 to 4096 (default 1536)\n"
        "  --seed N         of folds, inducing rows and networks (default 1)\n"
        "  --threads N      (default: as many as there are processors); the result does not depend on it\n"
        "  --output FILE    write the model here; without it the models are judged only\n"
        "\n"
        "example: tailor fit-accuracy ofa_mbv3_accuracy.csv.gz --output models/ofa-mbv3-w1.0-accuracy.bin\n",
    .run = run,
};
