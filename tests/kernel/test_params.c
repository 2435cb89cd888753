/* A plan with given parameters: the same as layer, then batch norm, then activation, all in double precision. */
#include "supernet/kernels/kernels.h"
#include "tests/kernel/isa.h"

#include <cmocka.h>
#include <math.h>

enum { SIDE = 32, NB = 2 };

static const float EPS = 1e-3F; /* large enough to show where it is left out */

/* ---- parameters and a forward that share nothing with the plan ------------------------------------------------- */

/* Weights that keep activations of order one, and statistics unlike those of any layer: nothing may be left out. */
static void fill(const struct network *net, struct net_params *params)
{
    struct tl_rng rng;
    tl_rng_init(&rng, 5, 0, 0);
    for (size_t i = 0; i < net->n_ops; i++) {
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            const struct net_layer *layer = &params->layers[i][l];
            for (size_t k = 0; k < layer->co * layer->inputs; k++) {
                layer->w[k] = (float)(tl_rng_normal(&rng) * sqrt(1.5 / (double)layer->inputs));
            }
            for (size_t o = 0; o < layer->co; o++) {
                if (layer->bias != NULL) {
                    layer->bias[o] = (float)(0.3 * tl_rng_normal(&rng));
                }
                if (layer->gamma != NULL) {
                    layer->gamma[o] = (float)(0.8 + 0.4 * tl_rng_unit(&rng));
                    layer->beta[o] = (float)(0.3 * tl_rng_normal(&rng));
                    layer->mean[o] = (float)(0.3 * tl_rng_normal(&rng));
                    layer->variance[o] = (float)(0.5 + tl_rng_unit(&rng));
                }
            }
        }
    }
}

static double activate(double x, enum net_act act)
{
    switch (act) {
    case NET_ACT_RELU:
        return fmax(x, 0);
    case NET_ACT_RELU6:
        return fmin(fmax(x, 0), 6);
    case NET_ACT_HSWISH:
        return x * fmin(fmax(x + 3, 0), 6) / 6;
    case NET_ACT_NONE:
    case NET_ACT_COUNT:
        break;
    }
    return x;
}

static double normed(const struct net_layer *layer, size_t o, double sum)
{
    sum += layer->bias != NULL ? (double)layer->bias[o] : 0;
    if (layer->gamma == NULL) {
        return sum;
    }
    const double deviation = sqrt((double)layer->variance[o] + (double)EPS);
    return (sum - (double)layer->mean[o]) / deviation * (double)layer->gamma[o] + (double)layer->beta[o];
}

/* Output o of pixel (row, col): over all input channels, or over channel o alone. x (h, w, ci) */
static double output_of(const struct net_op *op, const struct net_layer *layer, const double *x, size_t row, size_t col,
                        size_t o)
{
    const bool depthwise = op->kind == NET_DEPTHWISE;
    const size_t n = depthwise ? 1 : op->ci, pad = op->kernel / 2U;
    double sum = 0;
    for (size_t tap = 0; tap < (size_t)op->kernel * op->kernel; tap++) {
        const size_t y = row * op->stride + tap / op->kernel, z = col * op->stride + tap % op->kernel;
        if (y < pad || z < pad || y - pad >= op->h_in || z - pad >= op->w_in) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            const size_t channel = depthwise ? o : i;
            sum += x[((y - pad) * op->w_in + z - pad) * op->ci + channel] *
                   (double)layer->w[o * layer->inputs + tap * n + i];
        }
    }
    return activate(normed(layer, o, sum), op->act);
}

static void run_weights(const struct net_op *op, const struct net_layer *layer, const double *x, double *y)
{
    for (size_t p = 0; p < (size_t)op->h_out * op->w_out; p++) {
        for (size_t o = 0; o < op->co; o++) {
            y[p * op->co + o] = output_of(op, layer, x, p / op->w_out, p % op->w_out, o);
        }
    }
}

static void run_mean(const struct net_op *op, const double *x, double *y)
{
    const size_t pixels = (size_t)op->h_in * op->w_in;
    for (size_t c = 0; c < op->ci; c++) {
        y[c] = 0;
        for (size_t p = 0; p < pixels; p++) {
            y[c] += x[p * op->ci + c] / (double)pixels;
        }
    }
}

static void run_gates(const struct net_op *op, const struct net_layer *layers, const double *x, double *y)
{
    double mean[NET_CHANNELS_MAX], hidden[NET_CHANNELS_MAX];
    run_mean(op, x, mean);
    for (size_t h = 0; h < op->hidden; h++) {
        double sum = 0;
        for (size_t i = 0; i < op->ci; i++) {
            sum += mean[i] * (double)layers[0].w[h * op->ci + i];
        }
        hidden[h] = activate(normed(&layers[0], h, sum), NET_ACT_RELU);
    }
    for (size_t c = 0; c < op->co; c++) {
        double sum = 0;
        for (size_t h = 0; h < op->hidden; h++) {
            sum += hidden[h] * (double)layers[1].w[c * op->hidden + h];
        }
        const double gate = fmin(fmax(normed(&layers[1], c, sum) + 3, 0), 6) / 6;
        for (size_t p = 0; p < (size_t)op->h_in * op->w_in; p++) {
            y[p * op->co + c] = x[p * op->co + c] * gate;
        }
    }
}

static void run_op(const struct network *net, size_t i, const struct net_params *params, double *const *inputs)
{
    const struct net_op *op = &net->ops[i];
    const double *x = inputs[i];
    double *y = inputs[i + 1];
    switch (op->kind) {
    case NET_CONV:
    case NET_DEPTHWISE:
    case NET_LINEAR:
        run_weights(op, &params->layers[i][0], x, y);
        break;
    case NET_SE:
        run_gates(op, params->layers[i], x, y);
        break;
    case NET_ADD:
        for (size_t k = 0; k < (size_t)op->h_out * op->w_out * op->co; k++) {
            y[k] = activate(x[k] + inputs[op->skip_from][k], op->act);
        }
        break;
    case NET_POOL:
        run_mean(op, x, y);
        break;
    case NET_MAX_POOL:
    case NET_PROJECT:
    case NET_OP_KIND_COUNT:
        fail_msg("operator %zu is of no inverted residual network", i);
    }
}

/* The output for one image. */
static void forward(const struct network *net, const struct net_params *params, const float *image, double *ret_logits)
{
    double *inputs[NET_OPS_MAX + 1];
    for (size_t i = 0; i <= net->n_ops; i++) {
        const struct net_op *op = &net->ops[i > 0 ? i - 1 : 0];
        const size_t floats = i > 0 ? (size_t)op->h_out * op->w_out * op->co : (size_t)op->h_in * op->w_in * op->ci;
        inputs[i] = calloc(floats, sizeof(double));
        assert_non_null(inputs[i]);
    }
    for (size_t k = 0; k < (size_t)net->ops[0].h_in * net->ops[0].w_in * net->ops[0].ci; k++) {
        inputs[0][k] = (double)image[k];
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        run_op(net, i, params, inputs);
    }
    memcpy(ret_logits, inputs[net->n_ops], net->ops[net->n_ops - 1].co * sizeof(double));
    for (size_t i = 0; i <= net->n_ops; i++) {
        free(inputs[i]);
    }
}

/* ---- families -------------------------------------------------------------------------------------------------- */

static void check_network(const struct network *net)
{
    enum { PIXELS = SIDE * SIDE * 3, CLASSES_MAX = 1000 };
    static float images[NB * PIXELS], logits[NB * CLASSES_MAX];
    static double wanted[CLASSES_MAX];
    static struct net_params params;
    const size_t classes = net->ops[net->n_ops - 1].co;
    struct net_plan *plan = NULL;
    struct tl_err err = {0};
    struct tl_rng rng;
    tl_rng_init(&rng, 9, 0, 0);
    for (size_t i = 0; i < TL_COUNT_OF(images); i++) {
        images[i] = (float)tl_rng_normal(&rng);
    }
    assert_int_equal(net_params_init(&params, net, EPS, &err), TL_OK);
    fill(net, &params);
    if (net_plan_new(net, NB, &params, 0, NULL, &plan, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    net_plan_run(plan, images, logits);
    for (size_t n = 0; n < NB; n++) {
        double difference = 0, size = 0;
        forward(net, &params, images + n * PIXELS, wanted);
        for (size_t c = 0; c < classes; c++) {
            const double d = (double)logits[n * classes + c] - wanted[c];
            difference += d * d;
            size += wanted[c] * wanted[c];
        }
        assert_true(size > 1e-6 * (double)classes && size < 1e6 * (double)classes);
        assert_true(difference < 1e-9 * size);
    }
    net_plan_free(plan);
    net_params_done(&params);
}

/* Every slot the same choice, at a resolution that a double-precision forward can afford. */
static void check_family(const char *name, unsigned choice)
{
    static struct network net;
    struct net_family family = *net_family_get(name);
    struct net_pick pick = {.resolution = SIDE};
    struct tl_err err = {0};
    family.n_resolutions = 1;
    family.resolutions[0] = SIDE;
    memset(pick.choice, (int)choice, sizeof pick.choice);
    for (size_t s = 0; s < family.n_stages; s++) {
        pick.depth[s] = family.stages[s].depths[0];
    }
    if (net_build(&family, &pick, &net, &err) != TL_OK) {
        fail_msg("%s: %s", name, err.text);
    }
    check_network(&net);
}

static void given_parameters_compute_what_unfolded_batch_norm_does(void **state)
{
    (void)state;
    check_family("ofa-mbv3-w1.0", 1);      /* gates, h-swish, a layer without batch norm or bias */
    check_family("ofa-mbv3-w1.0", 6);      /* 7x7 */
    check_family("ofa-proxyless-w1.3", 3); /* ReLU6 */
    check_family("nasbench-macro", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_parameters_compute_what_unfolded_batch_norm_does),
    };
    const int missing = isa_missing();
    return missing != 0 ? missing : cmocka_run_group_tests(tests, NULL, NULL);
}
