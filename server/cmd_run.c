/* cmd_run.c - `tailor run` and `tailor export`: a sub-network of a supernet on data of one's own, and as a file.
 */
#include "server/artifact.h"
#include "server/codec_architecture.h"
#include "server/command.h"
#include "supernet/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *supernet, *architecture, *input, *output, *data;
    int64_t threads, resolution; /* 0: the architecture's */
};

enum option { SUPERNET, ARCHITECTURE, INPUT, OUTPUT, DATA, THREADS, RESOLUTION };

static const struct argument KNOWN[] = {
    [SUPERNET] = {"supernet", false},
    [ARCHITECTURE] = {"architecture", false},
    [INPUT] = {"input", false},
    [OUTPUT] = {"output", false},
    [DATA] = {"data", false},
    [THREADS] = {"threads", false},
    [RESOLUTION] = {"resolution", false},
};

static enum tl_rc options_parse(int argc, char **argv, struct options *options, struct tl_err *err)
{
    const char *values[TL_COUNT_OF(KNOWN)];
    enum tl_rc rc = arguments_values(argc, argv, KNOWN, TL_COUNT_OF(KNOWN), values, err);
    if (rc) {
        return rc;
    }
    if (!values[SUPERNET] || !values[ARCHITECTURE] || !values[OUTPUT]) {
        return tl_fail(err, TL_INVALID, "give --supernet, --architecture and --output");
    }
    *options = (struct options){.supernet = values[SUPERNET],
                                .architecture = values[ARCHITECTURE],
                                .input = values[INPUT],
                                .output = values[OUTPUT],
                                .data = values[DATA],
                                .threads = tl_cpu_count()};
    rc = argument_int("threads", values[THREADS], 1, 64, &options->threads, err);
    return rc ? rc : argument_int("resolution", values[RESOLUTION], 1, NET_SIDE_MAX, &options->resolution, err);
}

static enum tl_rc open_all(const struct options *options, struct supernet_use *use, struct net_pick *pick,
                           struct tl_err *err)
{
    enum tl_rc rc = supernet_use_open(use, options->supernet, options->data, (unsigned)options->threads, err);
    if (rc) {
        return rc;
    }
    rc = architecture_load(options->architecture, &use->net->family, pick, err);
    if (rc == TL_OK && options->resolution) {
        pick->resolution = (uint16_t)options->resolution;
    }
    if (rc) {
        supernet_use_done(use);
    }
    return rc;
}

/* Weights without a calibration are worth saying. */
static void note_calibration(const struct supernet_use *use)
{
    if (!use->set) {
        (void)fputs(
            "tailor: the supernet holds no calibration images: the running statistics of the largest network are "
            "used; --data calibrates\n",
            stderr);
    }
}

/* ---- run ----------------------------------------------------------------------------------------------------- */

/* (N, C, H, W) to (N, H, W, C). */
static void to_pixels(float *restrict to, const float *restrict from, size_t n, size_t c, size_t pixels)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t p = 0; p < pixels; p++) {
            for (size_t k = 0; k < c; k++) {
                to[(i * pixels + p) * c + k] = from[(i * c + k) * pixels + p];
            }
        }
    }
}

static enum tl_rc check_input(const struct npy *input, const struct net_op *first, struct tl_err *err)
{
    if (input->rank != 4 || input->shape[0] == 0 || input->shape[1] != first->ci || input->shape[2] != first->h_in ||
        input->shape[3] != first->w_in) {
        return tl_fail(
            err, TL_INVALID,
            "the input has to be (N, %u, %u, %u), normalised as in training; it has %zu dimensions, the first "
            "of %zu",
            first->ci, first->h_in, first->w_in, input->rank, input->rank ? input->shape[0] : 0);
    }
    return input->shape[0] > 4096
               ? tl_fail(err, TL_TOO_LARGE, "a batch of %zu images; at most 4096 go at once", input->shape[0])
               : TL_OK;
}

static enum tl_rc forward(const struct network *net, const struct net_params *params, struct tl_pool *pool,
                          const struct npy *input, struct tl_buf *output, struct tl_err *err)
{
    const struct net_op *first = &net->ops[0];
    const size_t n = input->shape[0], classes = net->ops[net->n_ops - 1].co, shape[] = {n, classes};
    struct net_plan *plan = NULL;
    float *pixels = malloc(input->n * sizeof *pixels), *logits = malloc(n * classes * sizeof *logits);
    enum tl_rc rc = pixels && logits ? net_plan_new(net, (unsigned)n, params, 0, pool, &plan, err)
                                     : tl_fail(err, TL_NO_MEMORY, "no memory for a batch of %zu", n);
    if (rc == TL_OK) {
        to_pixels(pixels, input->data, n, first->ci, (size_t)first->h_in * first->w_in);
        net_plan_run(plan, pixels, logits);
        rc = npy_encode(logits, 2, shape, output, err);
    }
    net_plan_free(plan);
    free(pixels);
    free(logits);
    return rc;
}

/* Calibrated on --data where it is given, else on the images in the file, else with the supernet's own statistics. */
static enum tl_rc run_one(struct supernet_use *use, const struct net_pick *pick, const struct npy *input,
                          struct tl_buf *output, struct tl_err *err)
{
    const float *stats = use->net->stats;
    struct network *net = malloc(sizeof *net);
    struct net_params *params = calloc(1, sizeof *params);
    enum tl_rc rc = net && params ? net_build(&use->net->family, pick, net, err)
                                  : tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    rc = rc ? rc : check_input(input, &net->ops[0], err);
    if (rc == TL_OK && use->evaluation) {
        rc = evaluation_calibrate(use->evaluation, pick, EVALUATION_CALIBRATION, &stats, err);
    }
    rc = rc ? rc : supernet_extract(use->net, net, stats, params, err);
    rc = rc ? rc : forward(net, params, use->pool, input, output, err);
    if (params) {
        net_params_done(params);
    }
    free(params);
    free(net);
    return rc;
}

static enum tl_rc run_run(int argc, char **argv, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    TL_AUTO(tl_buf) output = {.max = INT32_MAX};
    struct options options;
    struct supernet_use use;
    struct net_pick pick;
    struct npy input;
    enum tl_rc rc = options_parse(argc, argv, &options, err);
    if (rc == TL_OK && !options.input) {
        rc = tl_fail(err, TL_INVALID, "give --input FILE.npy");
    }
    if (rc == TL_OK) {
        rc = tl_file_read(options.input, &bytes, err);
        rc = rc ? rc : npy_decode(bytes.data ? bytes.data : "", bytes.len, &input, err);
        rc = tl_fail_in(err, rc, options.input);
    }
    if (rc || (rc = open_all(&options, &use, &pick, err))) {
        return rc;
    }
    note_calibration(&use);
    rc = run_one(&use, &pick, &input, &output, err);
    rc = rc ? rc : tl_file_write(options.output, output.data, output.len, err);
    supernet_use_done(&use);
    return rc;
}

const struct command command_run = {
    .name = "run",
    .summary = "run a sub-network of a supernet forward on a batch of your own",
    .help =
        "usage: tailor run --supernet FILE --architecture FILE.json --input X.npy --output Y.npy [OPTIONS]\n"
        "\n"
        "X is float32 (N, C, H, W), normalised as in training; Y gets the logits (N, classes). Batch norm is calibrated\n"
        "on the images in the supernet's file; where it has none, as a converted checkpoint, the supernet's running\n"
        "statistics are used as they are, which is what once-for-all's own code does.\n"
        "\n"
        "  --data IMAGES     calibrate on these training images instead\n"
        "  --resolution N    of the images, in place of the architecture's\n"
        "  --threads N       (as many as there are processors); the result does not depend on it\n"
        "\n"
        "An architecture is what GET /candidates/{id}/artifacts/architecture.json gives, once-for-all's {\"ks\": [..],\n"
        "\"e\": [..], \"d\": [..], \"r\": [..]} (\"w\" in place of \"ks\" for ResNets), or a net.config, which says no\n"
        "resolution: --resolution does, else it is the family's largest.\n",
    .run = run_run,
};

/* ---- export -------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static enum tl_rc kind_of(const char *output, enum artifact_kind *ret_kind, struct tl_err *err)
{
    for (int kind = 0; kind < ARTIFACT_KIND_COUNT; kind++) {
        if (ends_in(output, artifact_names[kind])) {
            *ret_kind = (enum artifact_kind)kind;
            return TL_OK;
        }
    }
    return tl_fail(err, TL_INVALID, "--output ends in .onnx, .safetensors or .net.config, which says what is written");
}

static enum tl_rc run_export(int argc, char **argv, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    TL_AUTO(tl_buf) architecture = {.max = NET_CONFIG_MAX};
    struct options options;
    struct supernet_use use;
    struct net_pick pick;
    enum artifact_kind kind = ARTIFACT_ONNX;
    enum tl_rc rc = options_parse(argc, argv, &options, err);
    (void)(rc || (rc = kind_of(options.output, &kind, err)) ||
           (rc = tl_file_read(options.architecture, &architecture, err)));
    if (rc || (rc = open_all(&options, &use, &pick, err))) {
        return rc;
    }
    if (kind != ARTIFACT_NET_CONFIG) {
        note_calibration(&use);
    }
    const struct st_pair pairs[] = {{"architecture", architecture.data}};
    rc = artifact_encode(&use, kind, &pick, pairs, TL_COUNT_OF(pairs), &bytes, err);
    rc = rc ? rc : tl_file_write(options.output, bytes.data, bytes.len, err);
    supernet_use_done(&use);
    if (rc == TL_OK) {
        printf("%s: %zu bytes\n", options.output, bytes.len);
    }
    return rc;
}

const struct command command_export = {
    .name = "export",
    .summary = "write a sub-network of a supernet as ONNX, safetensors or net.config",
    .help =
        "usage: tailor export --supernet FILE --architecture FILE.json --output FILE.onnx [OPTIONS]\n"
        "\n"
        "The end of the output's name says what is written: .onnx (batch norm folded, symbolic batch), .safetensors\n"
        "(PyTorch's shapes, not folded) or .net.config (once-for-all's description, without weights).\n"
        "\n"
        "  --data IMAGES     calibrate batch norm on these training images, not on those in the supernet's file\n"
        "  --resolution N    of the images, in place of the architecture's; a net.config says none (the family's largest)\n"
        "  --threads N       (as many as there are processors); the result does not depend on it\n",
    .run = run_export,
};
