/* bench_kernels.c - each kernel alone on one thread, beside its oneDNN twin and the bounds of the machine.
 *
 *     bench_kernels [--rounds N] [--only TEXT] [--no-peer]
 *
 * Shapes are layers of OFA-MobileNetV3 at 224 and 128 pixels and of a 32x32 network. A kernel, its twin and the bound
 * are timed in turn, in the processor time of this thread, so that other programs count little. Convolutions in GFLOP/s
 * beside the multiply-add peak; what is bound by memory in GB/s, each tensor counted once a pass, beside a STREAM-like
 * triad of arrays that no cache holds. --only runs the cases whose name holds TEXT.
 *
 * Operations are nominal, borders counted as if they were inside: a kernel that leaves out what falls beside a small map
 * may show more than the peak.
 */
#include "supernet/kernels/gradient.h"
#include "supernet/kernels/kernels.h"
#include "tests/bench/bench.h"
#include "tests/bench/fma_peak.h"
#include "tests/bench/onednn.h"

#include <getopt.h>
#include <time.h>
#include <unistd.h>

enum { TILE_PIXELS = 112 }; /* of one call of a pointwise layer, as the runtime cuts them */
enum { ROUNDS_MAX = 101, TRIAD_FLOATS = 12 << 20 };
static const double CASE_MS = 4; /* a case is repeated within a round until it has taken this */

enum kind {
    FORWARD,
    INPUT,
    WEIGHTS,
    SUMS,
    AFFINE,
    AFFINE_SUMS,
    AFFINE_GRADIENT,
    DOTS,
    GATE,
    NORM,
    NORM_BACK,
    PACK,
    PACK_TRANSPOSED,
    KIND_COUNT
};

static const struct {
    const char *name;
    double passes; /* tensors read or written, where memory is the bound; 0: arithmetic is */
    int peer;      /* enum peer_kind; -1: none */
} kinds[KIND_COUNT] = {
    [FORWARD] = {"forward", 0, PEER_FORWARD},
    [INPUT] = {"input", 0, PEER_INPUT},
    [WEIGHTS] = {"weights", 0, PEER_WEIGHTS},
    [SUMS] = {"sums", 1, -1},
    [AFFINE] = {"affine", 2, -1},
    [AFFINE_SUMS] = {"affine-sums", 2, -1},
    [AFFINE_GRADIENT] = {"affine-gradient", 3, -1},
    [DOTS] = {"dots", 2, -1},
    [GATE] = {"gate", 2, -1},
    [NORM] = {"batch-norm", 3, PEER_NORM},
    [NORM_BACK] = {"batch-norm-back", 5, PEER_NORM_BACK},
    [PACK] = {"pack", 2, -1},
    [PACK_TRANSPOSED] = {"pack-transposed", 2, -1},
};

struct layer_case {
    struct peer_layer layer;
    unsigned kinds; /* of those that fit: a bit each */
};

#define BIT(kind)   (1U << (kind))
#define CONVOLUTION (BIT(FORWARD) | BIT(INPUT) | BIT(WEIGHTS))
#define NORMS                                                                                                          \
    (BIT(SUMS) | BIT(AFFINE) | BIT(AFFINE_SUMS) | BIT(AFFINE_GRADIENT) | BIT(DOTS) | BIT(GATE) | BIT(NORM) |           \
     BIT(NORM_BACK))
#define PACKS (BIT(PACK) | BIT(PACK_TRANSPOSED))
#define POINTWISE(nb, side, ci, co)                                                                                    \
    {                                                                                                                  \
        {nb, side, ci, co, 1, 1, 1}, CONVOLUTION                                                                       \
    }
#define DEPTHWISE(nb, side, c, k, s)                                                                                   \
    {                                                                                                                  \
        {nb, side, c, c, k, s, c}, CONVOLUTION                                                                         \
    }
#define ELEMENTWISE(nb, side, c)                                                                                       \
    {                                                                                                                  \
        {nb, side, c, c, 1, 1, 1}, NORMS                                                                               \
    }
#define STEM(nb, side, stride)                                                                                         \
    {                                                                                                                  \
        {nb, side, 3, 16, 3, stride, 1}, BIT(FORWARD)                                                                  \
    }
#define PACKING(ci, co)                                                                                                \
    {                                                                                                                  \
        {1, 1, ci, co, 1, 1, 1}, PACKS                                                                                 \
    }

static const struct layer_case cases[] = {
    /* 224 pixels, one image */
    STEM(1, 224, 2),
    POINTWISE(1, 112, 16, 64),
    POINTWISE(1, 56, 24, 144),
    POINTWISE(1, 28, 240, 40),
    POINTWISE(1, 14, 80, 480),
    POINTWISE(1, 14, 672, 112),
    POINTWISE(1, 7, 160, 960),
    DEPTHWISE(1, 112, 64, 7, 2),
    DEPTHWISE(1, 56, 144, 5, 1),
    DEPTHWISE(1, 28, 240, 7, 1),
    DEPTHWISE(1, 14, 480, 3, 1),
    DEPTHWISE(1, 7, 960, 7, 1),
    /* 128 pixels, training */
    STEM(16, 128, 2),
    POINTWISE(16, 64, 16, 64),
    POINTWISE(16, 32, 24, 144),
    POINTWISE(16, 32, 144, 24),
    POINTWISE(16, 16, 40, 240),
    POINTWISE(16, 16, 240, 40),
    POINTWISE(16, 8, 80, 480),
    POINTWISE(16, 8, 480, 80),
    POINTWISE(16, 8, 672, 112),
    POINTWISE(16, 4, 160, 960),
    POINTWISE(16, 4, 960, 160),
    DEPTHWISE(16, 64, 64, 3, 2),
    DEPTHWISE(16, 64, 64, 7, 2),
    DEPTHWISE(16, 32, 144, 3, 1),
    DEPTHWISE(16, 32, 144, 5, 1),
    DEPTHWISE(16, 32, 144, 7, 1),
    DEPTHWISE(16, 32, 144, 5, 2),
    DEPTHWISE(16, 16, 240, 7, 1),
    DEPTHWISE(16, 8, 480, 3, 1),
    DEPTHWISE(16, 8, 480, 5, 1),
    DEPTHWISE(16, 8, 672, 7, 1),
    DEPTHWISE(16, 8, 672, 7, 2),
    DEPTHWISE(16, 4, 960, 5, 1),
    ELEMENTWISE(16, 64, 16),
    ELEMENTWISE(16, 64, 64),
    ELEMENTWISE(16, 32, 144),
    ELEMENTWISE(16, 16, 240),
    ELEMENTWISE(16, 8, 672),
    ELEMENTWISE(16, 4, 960),
    PACKING(24, 144),
    PACKING(144, 24),
    PACKING(960, 160),
    PACKING(160, 960),
    /* 32x32, training */
    STEM(64, 32, 1),
    POINTWISE(64, 32, 16, 48),
    POINTWISE(64, 16, 24, 72),
    POINTWISE(64, 16, 72, 24),
    POINTWISE(64, 8, 40, 160),
    POINTWISE(64, 8, 160, 40),
    POINTWISE(64, 4, 80, 320),
    DEPTHWISE(64, 32, 48, 3, 2),
    DEPTHWISE(64, 16, 72, 5, 1),
    DEPTHWISE(64, 8, 160, 7, 1),
    DEPTHWISE(64, 4, 320, 5, 1),
    ELEMENTWISE(64, 32, 16),
    ELEMENTWISE(64, 16, 72),
};

/* One kernel at one shape. Maps have room for a halo of 3 and any act of either kind; all of it owned. */
struct subject {
    enum kind kind;
    struct peer_layer layer;
    char name[64];
    struct k_shape x_shape, y_shape;
    float *memory[3], *x, *y, *out; /* x and y: of the shapes; out: large enough for either */
    float *w, *dw, *packed, *channels[6], *gates;
    struct peer *peer;
    double ms[ROUNDS_MAX], peer_ms[ROUNDS_MAX];
    size_t repeats, peer_repeats;
};

static const struct k_table *forward;
static const struct k_gradient_table *back;

static double cpu_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "bench_kernels: %s\n", what);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static float *numbers(size_t n, float scale)
{
    float *made = aligned_alloc(64, (n * sizeof *made + 63) / 64 * 64);
    if (made == NULL) {
        die("no memory");
    }
    for (size_t i = 0; i < n; i++) {
        made[i] = ((float)(i * 7919 % 1009) / 504.5F - 1) * scale;
    }
    return made;
}

static size_t padded(size_t n)
{
    return (n + forward->lanes - 1) / forward->lanes * forward->lanes;
}

static struct k_shape shape_of(size_t nb, size_t side, size_t c, size_t halo)
{
    const size_t ld = padded(c);
    return (struct k_shape){.nb = nb, .h = side, .w = side, .c = c, .ld = ld, .row = (side + halo) * ld, .halo = halo};
}

static bool is_depthwise(const struct subject *of)
{
    return of->layer.groups > 1;
}

static float *map_new(struct subject *of, size_t i, const struct k_shape *shape)
{
    const size_t left = shape->halo * shape->ld;
    of->memory[i] = numbers(left + shape->nb * shape->h * shape->row + forward->lanes, 1);
    float *data = of->memory[i] + left;
    memset(of->memory[i], 0, left * sizeof(float));
    for (size_t row = 0; row < shape->nb * shape->h; row++) {
        memset(data + row * shape->row + shape->w * shape->ld, 0, left * sizeof(float));
    }
    return data;
}

static struct subject *subject_new(enum kind kind, const struct peer_layer *layer)
{
    struct subject *made = calloc(1, sizeof *made);
    if (made == NULL) {
        die("no memory");
    }
    made->kind = kind;
    made->layer = *layer;
    const size_t out = (layer->side - 1) / layer->stride + 1, halo = layer->kernel / 2;
    made->x_shape = shape_of(layer->nb, layer->side, layer->ci, halo);
    made->y_shape = shape_of(layer->nb, out, layer->co, halo);
    made->x = map_new(made, 0, &made->x_shape);
    made->y = map_new(made, 1, &made->y_shape);
    made->out = map_new(made, 2, kind == INPUT ? &made->x_shape : &made->y_shape);
    const size_t floats = padded(layer->co) * padded(layer->ci) * layer->kernel * layer->kernel;
    made->w = numbers(floats, 0.1F);
    made->dw = numbers(floats, 0);
    made->packed = numbers(floats, 0.1F);
    for (size_t i = 0; i < TL_COUNT_OF(made->channels); i++) {
        made->channels[i] = numbers(padded(layer->ci > layer->co ? layer->ci : layer->co), i == 5 ? 0 : 0.5F);
    }
    made->gates = numbers(layer->nb * padded(layer->ci), 1);
    (void)snprintf(made->name, sizeof made->name, "%s/%zu", kinds[kind].name, layer->ci);
    const size_t used = strlen(made->name);
    if (layer->groups > 1) {
        (void)snprintf(made->name + used, sizeof made->name - used, "-dw%zus%zu@%zu-b%zu", layer->kernel, layer->stride,
                       layer->side, layer->nb);
    } else if (kind <= WEIGHTS || kind == PACK || kind == PACK_TRANSPOSED) {
        (void)snprintf(made->name + used, sizeof made->name - used, ">%zu%s@%zu-b%zu", layer->co,
                       layer->kernel > 1 ? "-stem" : "", layer->side, layer->nb);
    } else {
        (void)snprintf(made->name + used, sizeof made->name - used, "@%zu-b%zu", layer->side, layer->nb);
    }
    return made;
}

static void subject_free(struct subject *of)
{
    for (size_t i = 0; i < TL_COUNT_OF(of->memory); i++) {
        free(of->memory[i]);
    }
    for (size_t i = 0; i < TL_COUNT_OF(of->channels); i++) {
        free(of->channels[i]);
    }
    free(of->w);
    free(of->dw);
    free(of->packed);
    free(of->gates);
    peer_free(of->peer);
    free(of);
}

/* ---- one run of a kernel --------------------------------------------------------------------------------------- */

static void run_conv(const struct subject *of, float *y, const struct k_shape *y_shape, const float *x,
                     const struct k_shape *x_shape)
{
    struct k_conv op = {
        .x = x,
        .y_shape = y_shape,
        .x_shape = x_shape,
        .w = of->packed,
        .bias = of->channels[5],
        .vectors = padded(y_shape->c) / forward->lanes,
        .kernel = of->layer.kernel,
        .stride = of->layer.stride,
    };
    const size_t rows = y_shape->nb * y_shape->h, pixels = rows * y_shape->w;
    const struct k_range all = {0, op.vectors};
    op.y = y;
    if (!k_flat(op.kernel, op.stride)) {
        forward->conv(&op, (struct k_range){0, rows}, (struct k_range){0, y_shape->w}, all);
        return;
    }
    for (size_t from = 0; from < pixels; from += TILE_PIXELS) {
        const size_t to = from + TILE_PIXELS < pixels ? from + TILE_PIXELS : pixels;
        forward->conv(&op, (struct k_range){0, 1}, (struct k_range){from, to}, all);
    }
}

static void run_depthwise(const struct subject *of)
{
    const struct k_shape *x = &of->x_shape, *y = &of->y_shape;
    const size_t kernel = of->layer.kernel, stride = of->layer.stride;
    const struct k_range rows = {0, y->nb * y->h}, in_rows = {0, x->nb * x->h}, all = {0, y->ld / forward->lanes};
    const struct k_depthwise op = {
        .y = of->out,
        .x = of->x,
        .y_shape = y,
        .x_shape = x,
        .w = of->packed,
        .bias = of->channels[5],
        .kernel = kernel,
        .stride = stride,
    };
    if (of->kind == FORWARD) {
        forward->depthwise(&op, rows, all);
    } else if (of->kind == INPUT) {
        back->depthwise_input(of->out, x, of->y, y, of->packed, kernel, stride, in_rows, all);
    } else {
        back->depthwise_weights(of->dw, of->y, y, of->x, x, kernel, stride, rows, all);
    }
}

static void run_convolution(const struct subject *of)
{
    const struct k_shape *x = &of->x_shape, *y = &of->y_shape;
    if (is_depthwise(of)) {
        run_depthwise(of);
    } else if (of->kind == FORWARD) {
        run_conv(of, of->out, y, of->x, x);
    } else if (of->kind == INPUT) {
        run_conv(of, of->out, x, of->y, y);
    } else {
        back->conv_weights(of->dw, x->c, of->y, y->ld, of->x, x->ld, x->nb * x->h * x->w, y->c, x->c);
    }
}

static void run_memory(const struct subject *of)
{
    const struct k_shape *shape = &of->x_shape;
    const struct k_range rows = {0, shape->nb * shape->h};
    const struct k_affine affine = {of->x, shape, of->channels[0], of->channels[1],
                                    of->kind == NORM || of->kind == NORM_BACK ? K_RELU : K_HSWISH};
    float *const *c = of->channels;
    if (of->kind == SUMS || of->kind == NORM) {
        back->sums(c[2], c[3], of->x, shape, c[1], rows);
    }
    if (of->kind == AFFINE || of->kind == NORM) {
        back->affine(of->out, shape, &affine, NULL, 0, NULL, NULL, rows);
    }
    if (of->kind == AFFINE_SUMS || of->kind == NORM_BACK) {
        back->affine_sums(c[2], c[3], of->y, shape, &affine, c[1], rows);
    }
    if (of->kind == AFFINE_GRADIENT || of->kind == NORM_BACK) {
        back->affine_gradient(of->out, shape, of->y, shape, &affine, c[0], c[1], c[4], rows);
    }
    if (of->kind == DOTS) {
        back->dots(of->gates, shape->ld, of->x, shape, of->y, shape, (struct k_range){0, shape->nb});
    }
    if (of->kind == GATE) {
        back->gate(of->out, shape, of->x, shape, of->gates, of->gates, shape->ld, rows);
    }
}

static void run_pack(const struct subject *of)
{
    const size_t ci = of->layer.ci, co = of->layer.co, lanes = forward->lanes;
    if (of->kind == PACK) {
        const struct k_range panels = {0, k_panels(padded(co) / lanes)};
        k_pack_view(of->packed, of->w, padded(ci), co, ci, lanes, panels);
    } else {
        const struct k_range panels = {0, k_panels(padded(ci) / lanes)};
        k_pack_transposed(of->packed, of->w, padded(ci), co, ci, lanes, panels);
    }
}

static void run(const struct subject *of)
{
    if (of->kind <= WEIGHTS) {
        run_convolution(of);
    } else if (of->kind < PACK) {
        run_memory(of);
    } else {
        run_pack(of);
    }
}

/* ---- timing ---------------------------------------------------------------------------------------------------- */

static double time_ours(const struct subject *of, size_t repeats)
{
    const double start = cpu_ms();
    for (size_t i = 0; i < repeats; i++) {
        run(of);
    }
    return (cpu_ms() - start) / (double)repeats;
}

static double time_peer(const struct subject *of, size_t repeats)
{
    const double start = cpu_ms();
    for (size_t i = 0; i < repeats; i++) {
        peer_run(of->peer);
    }
    return (cpu_ms() - start) / (double)repeats;
}

static size_t repeats_for(double (*timed)(const struct subject *, size_t), const struct subject *of)
{
    (void)timed(of, 1);
    return 1 + (size_t)(CASE_MS / fmax(timed(of, 1), 1e-4));
}

/* GFLOP/s of multiply-adds on registers. */
static double time_peak(void)
{
    const double start = cpu_ms();
    const double done = peak_run(net_isa(), 1) * PEAK_ROUNDS;
    (void)peak_run(net_isa(), PEAK_ROUNDS);
    return done / (cpu_ms() - start) / 1e6;
}

/* GB/s of a[i] = b[i] + s * c[i]. */
static double time_triad(void)
{
    static float *a, *b, *c;
    if (a == NULL) {
        a = numbers(TRIAD_FLOATS, 1);
        b = numbers(TRIAD_FLOATS, 1);
        c = numbers(TRIAD_FLOATS, 1);
    }
    const double start = cpu_ms();
    for (size_t i = 0; i < TRIAD_FLOATS; i++) {
        a[i] = b[i] + 3.0F * c[i];
    }
    return 3.0 * TRIAD_FLOATS * sizeof *a / (cpu_ms() - start) / 1e6;
}

/* Floating-point operations, or bytes, of one run. */
static double work_of(const struct subject *of)
{
    const struct peer_layer *layer = &of->layer;
    const double passes = kinds[of->kind].passes, taps = (double)(layer->kernel * layer->kernel);
    if (of->kind >= PACK) {
        return passes * (double)(layer->ci * layer->co) * sizeof(float);
    }
    if (passes > 0) {
        return passes * (double)(layer->nb * layer->side * layer->side * layer->ci) * sizeof(float);
    }
    const double pixels = (double)(of->y_shape.nb * of->y_shape.h * of->y_shape.w);
    return 2 * pixels * taps * (double)(layer->ci * layer->co) / (double)layer->groups;
}

static void report(struct subject *of, size_t rounds, double peak, double triad)
{
    const bool memory = kinds[of->kind].passes > 0;
    const double work = work_of(of), bound = memory ? triad : peak;
    const double ours = work / bench_quantile(of->ms, rounds, 0.5) / 1e6;
    struct bench_figure figure = {
        .bench = "kernels",
        .name = of->name,
        .metric = "throughput",
        .unit = memory ? "GB/s" : "GFLOP/s",
        .value = ours,
        .peer = memory ? "triad" : "fma_peak",
        .peer_value = bound,
        .threads = 1,
    };
    bench_report(&figure);
    (void)fprintf(stderr, "%-32s %9.1f %-7s %5.2f", of->name, ours, figure.unit, ours / bound);
    if (of->peer != NULL) {
        figure.peer = "onednn";
        figure.peer_value = work / bench_quantile(of->peer_ms, rounds, 0.5) / 1e6;
        bench_report(&figure);
        (void)fprintf(stderr, "   oneDNN %9.1f  %5.2f", figure.peer_value, ours / figure.peer_value);
    }
    (void)fputc('\n', stderr);
}

static void bench(enum kind kind, const struct peer_layer *layer, size_t rounds, const char *only, bool peers)
{
    struct subject *of = subject_new(kind, layer);
    if (only == NULL || strstr(of->name, only) != NULL) {
        static double peaks[ROUNDS_MAX], triads[ROUNDS_MAX];
        if (peers && kinds[kind].peer >= 0) {
            of->peer = peer_new((enum peer_kind)kinds[kind].peer, layer);
        }
        of->repeats = repeats_for(time_ours, of);
        of->peer_repeats = of->peer == NULL ? 0 : repeats_for(time_peer, of);
        for (size_t round = 0; round < rounds; round++) {
            of->ms[round] = time_ours(of, of->repeats);
            if (of->peer != NULL) {
                of->peer_ms[round] = time_peer(of, of->peer_repeats);
            }
            peaks[round] = time_peak();
            triads[round] = kinds[kind].passes > 0 ? time_triad() : 0;
        }
        report(of, rounds, bench_quantile(peaks, rounds, 0.5), bench_quantile(triads, rounds, 0.5));
    }
    subject_free(of);
}

/* The peer on one thread too: its library counts them when it is loaded, so the program starts again. */
static void peer_alone(char **argv)
{
    const char *threads = getenv("OMP_NUM_THREADS"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (threads == NULL || strcmp(threads, "1") != 0) {
        (void)setenv("OMP_NUM_THREADS", "1", 1); /* NOLINT(concurrency-mt-unsafe): one thread */
        (void)execvp(argv[0], argv);
        die("cannot start again with OMP_NUM_THREADS=1");
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"rounds", required_argument, NULL, 'n'},
                                          {"only", required_argument, NULL, 'o'},
                                          {"no-peer", no_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    size_t rounds = 7;
    const char *only = NULL;
    bool peers = true;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) { /* NOLINT(concurrency-mt-unsafe): one thread */
        if (c == 'n') {
            rounds = strtoul(optarg, NULL, 10);
        } else if (c == 'o') {
            only = optarg;
        } else if (c == 'p') {
            peers = false;
        } else {
            die("see the first lines of tests/bench/bench_kernels.c");
        }
    }
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        die("--rounds is not a number from 1 to 101");
    }
    peer_alone(argv);
    if (peers && peer_missing() != NULL) {
        (void)fprintf(stderr, "%s\n", peer_missing());
    }
    forward = k_table_best();
    back = k_gradient_best();
    (void)fprintf(stderr, "%s, one thread\n%-32s %9s %-7s %5s\n", net_isa(), "case", "", "", "of the bound");
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
            if ((cases[i].kinds & BIT(kind)) != 0) {
                bench((enum kind)kind, &cases[i].layer, rounds, only, peers);
            }
        }
    }
    return 0;
}
