/* cmd_train.c - `tailor train`: a supernet out of images. */
#include "server/codec_architecture.h"
#include "server/command.h"
#include "server/supernet_use.h"
#include "server/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop; /* set by the signal handler */

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

enum option {
    FAMILY,
    DATA,
    OUTPUT,
    METHOD,
    ARCHITECTURE,
    OPTIMIZER,
    EPOCHS,
    TEACHER,
    WARMUP,
    LR,
    MOMENTUM,
    DECAY,
    CLIP,
    SMOOTHING,
    DROPOUT,
    DISTILL,
    MAGNITUDE,
    JITTER,
    HOLDOUT,
    RANDOM,
    BATCH,
    SEED,
    MOST,
    PAD,
    OPS,
    CUTOUT,
    NO_MIRROR,
    THREADS,
    CHECKPOINT,
    MEASURE,
    FINAL,
    CALIBRATION,
    OPTION_COUNT
};

static const struct argument KNOWN[OPTION_COUNT] = {
    [FAMILY] = {"family", false},
    [DATA] = {"data", false},
    [OUTPUT] = {"output", false},
    [METHOD] = {"method", false},
    [ARCHITECTURE] = {"architecture", false},
    [OPTIMIZER] = {"optimizer", false},
    [EPOCHS] = {"epochs", false},
    [TEACHER] = {"teacher", false},
    [WARMUP] = {"warmup", false},
    [LR] = {"lr", false},
    [MOMENTUM] = {"momentum", false},
    [DECAY] = {"weight-decay", false},
    [CLIP] = {"clip", false},
    [SMOOTHING] = {"smoothing", false},
    [DROPOUT] = {"dropout", false},
    [DISTILL] = {"distill", false},
    [MAGNITUDE] = {"magnitude", false},
    [HOLDOUT] = {"holdout", false},
    [RANDOM] = {"random", false},
    [BATCH] = {"batch", false},
    [SEED] = {"seed", false},
    [MOST] = {"images", false},
    [PAD] = {"pad", false},
    [OPS] = {"ops", false},
    [JITTER] = {"jitter", false},
    [CUTOUT] = {"cutout", false},
    [NO_MIRROR] = {"no-mirror", true},
    [THREADS] = {"threads", false},
    [CHECKPOINT] = {"checkpoint", false},
    [MEASURE] = {"measure", false},
    [FINAL] = {"final", false},
    [CALIBRATION] = {"calibration", false},
};

static enum tl_rc real_set(const char *const *values, enum option option, double least, double most, double *value,
                           struct tl_err *err)
{
    return argument_real(KNOWN[option].name, values[option], least, most, value, err);
}

static enum tl_rc float_set(const char *const *values, enum option option, double most, float *value,
                            struct tl_err *err)
{
    double real = (double)*value;
    const enum tl_rc rc = real_set(values, option, 0.0, most, &real, err);
    *value = (float)real;
    return rc;
}

static enum tl_rc whole_set(const char *const *values, enum option option, int64_t least, int64_t most, uint64_t *value,
                            struct tl_err *err)
{
    int64_t whole = (int64_t)*value;
    const enum tl_rc rc = argument_int(KNOWN[option].name, values[option], least, most, &whole, err);
    *value = (uint64_t)whole;
    return rc;
}

static enum tl_rc unsigned_set(const char *const *values, enum option option, int64_t least, int64_t most,
                               unsigned *value, struct tl_err *err)
{
    uint64_t whole = *value;
    const enum tl_rc rc = whole_set(values, option, least, most, &whole, err);
    *value = (unsigned)whole;
    return rc;
}

static enum tl_rc name_set(const char *const *values, enum option option, const char *const *names, size_t n,
                           int *value, struct tl_err *err)
{
    const char *text = values[option];
    for (size_t i = 0; text && i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *value = (int)i;
            return TL_OK;
        }
    }
    return text ? tl_fail(err, TL_INVALID, "--%s is %s, %s or %s, not \"%.80s\"", KNOWN[option].name, names[0],
                          names[1], names[2], text)
                : TL_OK;
}

static enum tl_rc method_set(const char *const *values, struct training *training, struct tl_err *err)
{
    static const char *const methods[] = {"sandwich", "shrink", "alone"}, *const rules[] = {"sgd", "adamw", "lamb"};
    int method = TRAIN_SANDWICH, rule = TRAIN_SGD;
    enum tl_rc rc = name_set(values, METHOD, methods, TL_COUNT_OF(methods), &method, err);
    if (rc || (rc = name_set(values, OPTIMIZER, rules, TL_COUNT_OF(rules), &rule, err))) {
        return rc;
    }
    training->plan = train_plan_default((enum train_method)method);
    training->plan.optimizer.kind = (enum train_rule)rule;
    if (method == TRAIN_ALONE) {
        if (!values[ARCHITECTURE]) {
            return tl_fail(err, TL_INVALID, "--method alone trains one network: name it with --architecture FILE.json");
        }
        return architecture_load(values[ARCHITECTURE], &training->family, &training->plan.alone, err);
    }
    return values[ARCHITECTURE] ? tl_fail(err, TL_INVALID,
                                          "--architecture is for --method alone; --method %s trains every network of "
                                          "the family",
                                          methods[method])
                                : TL_OK;
}

static enum tl_rc plan_set(const char *const *values, struct train_plan *plan, struct tl_err *err)
{
    struct train_optimizer *rule = &plan->optimizer;
    enum tl_rc rc = TL_OK;
    if (rule->kind != TRAIN_SGD) {
        plan->lr = 0.002;
        rule->weight_decay = 0.05;
    }
    if ((rc = real_set(values, EPOCHS, 0.001, 1e5, &plan->epochs, err)) ||
        (rc = real_set(values, TEACHER, 0.0, 1e5, &plan->teacher_epochs, err))) {
        return rc;
    }
    plan->warmup_epochs = train_warmup(plan->teacher_epochs > 0.0 ? plan->teacher_epochs : plan->epochs);
    (void)((rc = real_set(values, WARMUP, 0.0, 1e5, &plan->warmup_epochs, err)) ||
           (rc = real_set(values, LR, 1e-9, 100.0, &plan->lr, err)) ||
           (rc = real_set(values, MOMENTUM, 0.0, 0.9999, &rule->momentum, err)) ||
           (rc = real_set(values, DECAY, 0.0, 10.0, &rule->weight_decay, err)) ||
           (rc = real_set(values, CLIP, 0.0, 1e6, &plan->clip, err)) ||
           (rc = float_set(values, SMOOTHING, 0.9, &plan->smoothing, err)) ||
           (rc = float_set(values, DROPOUT, 0.9, &plan->dropout, err)) ||
           (rc = float_set(values, DISTILL, 100.0, &plan->distill, err)) ||
           (rc = unsigned_set(values, RANDOM, 0, 64, &plan->random_subnets, err)) ||
           (rc = unsigned_set(values, BATCH, 2, 4096, &plan->batch, err)) ||
           (rc = whole_set(values, SEED, 0, INT64_MAX, &plan->seed, err)) || (rc = train_plan_check(plan, err)));
    return rc;
}

static enum tl_rc images_set(const char *const *values, struct training *training, struct tl_err *err)
{
    static const char *const finals[] = {"corners", "ends", "none"};
    struct train_images_plan *images = &training->images;
    int final = TRAINING_CORNERS;
    uint64_t most = 0, calibration = training->calibration_images;
    enum tl_rc rc = TL_OK;
    images->augment.mirror = values[NO_MIRROR] == NULL;
    (void)((rc = real_set(values, HOLDOUT, 0.0, 0.5, &images->holdout, err)) ||
           (rc = real_set(values, MAGNITUDE, 0.0, 1.0, &images->augment.magnitude, err)) ||
           (rc = whole_set(values, MOST, 1, UINT32_MAX, &most, err)) ||
           (rc = whole_set(values, CALIBRATION, 0, 100000, &calibration, err)) ||
           (rc = unsigned_set(values, PAD, 0, 64, &images->augment.pad, err)) ||
           (rc = unsigned_set(values, OPS, 0, 8, &images->augment.ops, err)) ||
           (rc = real_set(values, JITTER, 0.0, 1.0, &images->augment.jitter, err)) ||
           (rc = unsigned_set(values, CUTOUT, 0, 32, &images->augment.cutout, err)) ||
           (rc = unsigned_set(values, THREADS, 1, 64, &training->n_threads, err)) ||
           (rc = unsigned_set(values, CHECKPOINT, 1, 86400, &training->checkpoint_s, err)) ||
           (rc = unsigned_set(values, MEASURE, 0, 100000, &training->measure_epochs, err)) ||
           (rc = name_set(values, FINAL, finals, TL_COUNT_OF(finals), &final, err)));
    training->final = (enum training_final) final;
    images->most = (size_t)most;
    training->calibration_images = (size_t)calibration;
    return rc;
}

static enum tl_rc options_parse(int argc, char **argv, const char **values, struct training *training,
                                struct tl_err *err)
{
    enum tl_rc rc = arguments_values(argc, argv, KNOWN, OPTION_COUNT, values, err);
    if (rc) {
        return rc;
    }
    if (!values[FAMILY] || !values[DATA] || !values[OUTPUT]) {
        return tl_fail(err, TL_INVALID, "give --family, --data and --output; tailor train --help shows an example");
    }
    training->data = values[DATA];
    training->output = values[OUTPUT];
    (void)((rc = net_family_find(values[FAMILY], &training->family, err)) || (rc = method_set(values, training, err)) ||
           (rc = plan_set(values, &training->plan, err)) || (rc = images_set(values, training, err)));
    return rc;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

/* The command as the supernet's file tells it: what does not change its bytes (paths, threads) is left out, and the rest
 * stands in the order of the list of options. */
static void command_text(const char *const *values, const char *family, char *text, size_t size)
{
    static const enum option left_out[] = {FAMILY, DATA, OUTPUT, ARCHITECTURE, THREADS, CHECKPOINT};
    size_t len = (size_t)snprintf(text, size, "tailor train --family %s", family);
    for (int i = 0; i < OPTION_COUNT && len < size; i++) {
        bool told = values[i] != NULL;
        for (size_t j = 0; j < TL_COUNT_OF(left_out); j++) {
            told = told && i != (int)left_out[j];
        }
        if (told) {
            len += (size_t)snprintf(text + len, size - len, " --%s%s%s", KNOWN[i].name, values[i][0] ? " " : "",
                                    values[i]);
        }
    }
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct training training = {
        .images = {.holdout = 0.1, .augment = {.pad = 4, .magnitude = 0.3}},
        .n_threads = tl_cpu_count(),
        .checkpoint_s = 120,
        .measure_epochs = 5,
        .measured_images = 1000,
        .calibration_images = 256,
    };
    const char *values[OPTION_COUNT];
    char command[1024];
    bool finished = false;
    enum tl_rc rc = options_parse(argc, argv, values, &training, err);
    if (rc) {
        return rc;
    }
    command_text(values, training.family.name, command, sizeof command);
    training.command = command;
    catch_signals();
    rc = training_run(&training, &stop, &finished, err);
    if (rc == TL_OK) {
        (void)printf(finished ? "%s/supernet.safetensors is ready\n"
                              : "stopped; the checkpoint is in %s, and the same command goes on from there\n",
                     training.output);
    }
    return rc;
}

const struct command command_train = {
    .name = "train",
    .summary = "train a supernet on images of your own",
    .help =
        "usage: tailor train --family NAME|FILE.json --data IMAGES --output FOLDER [OPTIONS]\n"
        "\n"
        "IMAGES is a folder of idx files (MNIST) or of CIFAR-10's .bin files, or train/CLASS/*.jpg|png with test/ or val/\n"
        "beside it, as a folder or a .tar(.gz). FOLDER gets checkpoint.safetensors, log.jsonl and, in the end,\n"
        "supernet.safetensors. The same command goes on where it was stopped (Ctrl-C, kill, a crash), to the same bytes of\n"
        "supernet.safetensors: times, paths and the number of threads are not in it.\n"
        "\n"
        "  --method NAME        sandwich: every step the largest network on the labels, then the smallest and random ones\n"
        "                       on its answers (default); shrink: once-for-all's progressive shrinking; alone: one\n"
        "                       network, the one in --architecture FILE.json\n"
        "  --epochs N           in all phases together (30)\n"
        "  --teacher X          with sandwich: of the epochs, the first X train the largest network by itself, at about half\n"
        "                       the price of an epoch of all (0)\n"
        "  --batch N            images a step (64)\n"
        "  --random N           random sub-networks a step (1; shrink: 4 in its last phases)\n"
        "  --optimizer NAME     sgd with Nesterov momentum (default), adamw or lamb\n"
        "  --lr X               peak learning rate, cosine to zero (0.1; adamw, lamb: 0.002)\n"
        "  --warmup X           epochs in which it rises, less than all (1, a fifth of --epochs where that is less)\n"
        "  --momentum X         (0.9)     --weight-decay X   (0.0001; adamw, lamb: 0.05)\n"
        "  --clip X             largest norm of a step's gradients, 0: any (5)\n"
        "  --smoothing X        of labels (0.1)     --dropout X   before the classifier (0)\n"
        "  --distill X          weight of the teacher's answers beside the labels, with shrink (1)\n"
        "  --holdout X          share of the training images held out for measuring (0.1)\n"
        "  --images N           train on the first N of the rest (all)\n"
        "  --pad N              small images move by up to N pixels (4)     --no-mirror   they are not mirrored\n"
        "  --ops N              operations of RandAugment an image (0)     --magnitude X   their strength, 0 to 1 (0.3)\n"
        "  --jitter X           of brightness, contrast and colour, 0 to 1 (0)\n"
        "  --cutout N           side of a blanked square, in 32nds of the image's (0)\n"
        "  --seed N             of everything (1)\n"
        "  --threads N          (as many as there are processors); the result does not depend on it\n"
        "  --checkpoint S       seconds between checkpoints (120)\n"
        "  --measure N          epochs between measurements of the smallest and largest network (5; 0: only as --final)\n"
        "  --final NAME         what is measured in the end, on all images that are held out and for testing: corners (16\n"
        "                       networks, the default), ends (the smallest and the largest, as after an earlier phase) or\n"
        "                       none, for a short try\n"
        "  --calibration N      images kept in the supernet's file to calibrate batch norm with (256)\n"
        "\n"
        "example: tailor train --family mnist-mbv3 --data mnist --output my-supernet --epochs 2 --no-mirror --pad 2\n",
    .run = run,
};
