/* mlp.c - networks of linear layers with ReLU between: prediction on batches, import, saved form.
 *
 * The first layer is a sum of weight rows, the hidden ones are one sgemm a batch with weights stored (in, out)
 * (OpenBLAS packs that order fastest), and the last is a dot product into which the ReLU before it is folded.
 */
#include "base/model/parts.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Floats of layer i's weights. */
static size_t layer_floats(const struct net_layers *net, size_t i)
{
    return i + 1 == net->n_layers ? vec_pad(net->sizes[i]) : net->sizes[i] * vec_pad(net->sizes[i + 1]);
}

enum tl_rc net_layers_init(struct net_layers *net, size_t n_layers, const size_t *sizes, struct tl_err *err)
{
    if (n_layers < 2 || n_layers > MODEL_LAYERS_MAX) {
        return tl_fail(err, TL_INVALID, "a network has 2 to %d layers, not %zu", (int)MODEL_LAYERS_MAX, n_layers);
    }
    for (size_t i = 0; i <= n_layers; i++) {
        if (sizes[i] == 0 || sizes[i] > MODEL_SIDE_MAX) {
            return tl_fail(err, TL_INVALID, "layer %zu has %zu values; 1 to %d are possible", i, sizes[i],
                           (int)MODEL_SIDE_MAX);
        }
    }
    if (sizes[n_layers] != 1) {
        return tl_fail(err, TL_INVALID, "the last layer has %zu outputs instead of one", sizes[n_layers]);
    }
    struct net_layers made = {.n_layers = n_layers};
    memcpy(made.sizes, sizes, (n_layers + 1) * sizeof(*sizes));
    bool whole = true;
    for (size_t i = 0; i < n_layers; i++) {
        made.weights[i] = vec_alloc(layer_floats(&made, i));
        made.biases[i] = vec_alloc(vec_pad(sizes[i + 1]));
        whole = whole && made.weights[i] && made.biases[i];
    }
    if (!whole) {
        net_layers_done(&made);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a network of %zu layers", n_layers);
    }
    *net = made;
    return TL_OK;
}

void net_layers_done(struct net_layers *net)
{
    for (size_t i = 0; i < MODEL_LAYERS_MAX; i++) {
        free(net->weights[i]);
        free(net->biases[i]);
    }
    *net = (struct net_layers){0};
}

void mlp_done(struct mlp *mlp)
{
    for (size_t i = 0; i < MODEL_NETS_MAX; i++) {
        net_layers_done(&mlp->nets[i]);
    }
    mlp->n_nets = 0;
}

size_t mlp_width(const struct mlp *mlp)
{
    size_t widest = 0;
    for (size_t k = 0; k < mlp->n_nets; k++) {
        for (size_t i = 1; i <= mlp->nets[k].n_layers; i++) {
            const size_t ld = vec_pad(mlp->nets[k].sizes[i]);
            widest = ld > widest ? ld : widest;
        }
    }
    return widest;
}

/* One network's outputs are added to y (n). Two buffers take turns. */
static void net_add(const struct net_layers *net, const struct vec_table *vec, const struct model_hot *rows, float *a,
                    float *b, double *y)
{
    const size_t last = net->n_layers - 1, n = rows->n;

    vec->hot_sum(a, rows->index, n, rows->width, net->weights[0], NULL, vec_pad(net->sizes[1]));
    for (size_t i = 1; i < last; i++) {
        const size_t ld = vec_pad(net->sizes[i]), next_ld = vec_pad(net->sizes[i + 1]);
        for (size_t r = 0; r < n; r++) {
            vec->bias_relu(a + r * ld, net->biases[i - 1], ld);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)net->sizes[i + 1], (int)net->sizes[i], 1.0F,
                    a, (int)ld, net->weights[i], (int)next_ld, 0.0F, b, (int)next_ld);
        float *swap = a;
        a = b;
        b = swap;
    }
    const size_t ld = vec_pad(net->sizes[last]);
    for (size_t r = 0; r < n; r++) {
        y[r] += vec->bias_relu_dot(a + r * ld, net->biases[last - 1], net->weights[last], ld) +
                (double)net->biases[last][0];
    }
}

void mlp_predict(const struct mlp *mlp, const struct model_hot *rows, float *a, float *b, double *y)
{
    const struct vec_table *vec = vec_best();

    memset(y, 0, rows->n * sizeof(*y));
    for (size_t k = 0; k < mlp->n_nets; k++) {
        net_add(&mlp->nets[k], vec, rows, a, b, y);
    }
    for (size_t r = 0; r < rows->n; r++) {
        y[r] = mlp->offset + mlp->scale * (y[r] / (double)mlp->n_nets);
    }
}

/* ---- import -------------------------------------------------------------------------------------------------- */

static bool all_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

/* From (out, in) row-major to our (in, ld), the last layer's single row as it is. */
static void layer_set(struct net_layers *net, size_t i, const float *weights, const float *bias)
{
    const size_t in = net->sizes[i], out = net->sizes[i + 1];
    const size_t ld = vec_pad(out);

    for (size_t o = 0; o < out; o++) {
        for (size_t k = 0; k < in; k++) {
            net->weights[i][i + 1 == net->n_layers ? k : k * ld + o] = weights[o * in + k];
        }
    }
    if (bias) {
        memcpy(net->biases[i], bias, out * sizeof(*bias));
    }
}

enum tl_rc model_mlp_import(size_t n_layers, const size_t *sizes, const float *const *weights,
                            const float *const *biases, double offset, double scale, struct model **ret_model,
                            struct tl_err *err)
{
    struct net_layers net = {0};
    enum tl_rc rc = net_layers_init(&net, n_layers, sizes, err);
    if (rc) {
        return rc;
    }
    bool finite = isfinite(offset) && isfinite(scale);
    for (size_t i = 0; i < n_layers && finite; i++) {
        finite = all_finite(weights[i], sizes[i] * sizes[i + 1]) && (!biases[i] || all_finite(biases[i], sizes[i + 1]));
        layer_set(&net, i, weights[i], biases[i]);
    }
    struct model *model = finite ? calloc(1, sizeof(*model)) : NULL;
    if (!model) {
        net_layers_done(&net);
        return finite ? tl_fail(err, TL_NO_MEMORY, "no memory for a model")
                      : tl_fail(err, TL_INVALID, "a weight of the network is not finite");
    }
    model->kind = MODEL_MLP;
    model->n_features = sizes[0];
    model->mlp = (struct mlp){.n_nets = 1, .nets = {net}, .offset = offset, .scale = scale};
    model->spread.calibration = HUGE_VAL;
    *ret_model = model;
    return TL_OK;
}

/* ---- saved form: offset, scale, networks; of each: layers, sizes, weights and biases without padding ----------- */

/* Rows and columns of a layer's stored weights. */
static void layer_shape(const struct net_layers *net, size_t i, size_t *ret_rows, size_t *ret_columns)
{
    const bool is_last = i + 1 == net->n_layers;
    *ret_rows = is_last ? 1 : net->sizes[i];
    *ret_columns = is_last ? net->sizes[i] : net->sizes[i + 1];
}

static enum tl_rc net_save(const struct net_layers *net, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)net->n_layers, err);
    for (size_t i = 0; !rc && i <= net->n_layers; i++) {
        rc = tl_buf_put_u32(buf, (uint32_t)net->sizes[i], err);
    }
    for (size_t i = 0; !rc && i < net->n_layers; i++) {
        size_t n_rows = 0, columns = 0;
        layer_shape(net, i, &n_rows, &columns);
        for (size_t r = 0; !rc && r < n_rows; r++) {
            rc = floats_save(net->weights[i] + r * vec_pad(columns), columns, buf, err);
        }
        rc = rc ? rc : floats_save(net->biases[i], net->sizes[i + 1], buf, err);
    }
    return rc;
}

enum tl_rc mlp_save(const struct mlp *mlp, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_f64(buf, mlp->offset, err);
    rc = rc ? rc : tl_buf_put_f64(buf, mlp->scale, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)mlp->n_nets, err);
    for (size_t k = 0; !rc && k < mlp->n_nets; k++) {
        rc = net_save(&mlp->nets[k], buf, err);
    }
    return rc;
}

static enum tl_rc net_load(struct tl_cursor *cursor, struct net_layers *ret_net, struct tl_err *err)
{
    size_t sizes[MODEL_LAYERS_MAX + 1] = {0};
    const size_t n_layers = tl_cursor_u32(cursor);
    if (n_layers > MODEL_LAYERS_MAX) {
        return tl_fail(err, TL_MALFORMED, "a saved network claims %zu layers", n_layers);
    }
    /* What the sizes promise must be there before memory is taken for it. */
    uint64_t floats = 0;
    for (size_t i = 0; i <= n_layers; i++) {
        sizes[i] = tl_cursor_u32(cursor);
        floats += i && sizes[i] <= MODEL_SIDE_MAX ? (uint64_t)sizes[i] * (sizes[i - 1] + 1) : 0;
    }
    if (cursor->failed || floats > cursor->left / sizeof(float)) {
        return tl_fail(err, TL_MALFORMED, "a saved network is cut short");
    }
    struct net_layers net = {0};
    enum tl_rc rc = net_layers_init(&net, n_layers, sizes, err);
    if (rc) {
        return rc;
    }
    bool good = true;
    for (size_t i = 0; good && i < n_layers; i++) {
        size_t n_rows = 0, columns = 0;
        layer_shape(&net, i, &n_rows, &columns);
        for (size_t r = 0; good && r < n_rows; r++) {
            good = floats_load(cursor, net.weights[i] + r * vec_pad(columns), columns);
        }
        good = good && floats_load(cursor, net.biases[i], sizes[i + 1]);
    }
    if (!good) {
        net_layers_done(&net);
        return tl_fail(err, TL_MALFORMED, "a saved network is cut short or holds a weight that is not finite");
    }
    *ret_net = net;
    return TL_OK;
}

enum tl_rc mlp_load(struct tl_cursor *cursor, struct mlp *ret_mlp, struct tl_err *err)
{
    struct mlp mlp = {.offset = tl_cursor_f64(cursor), .scale = tl_cursor_f64(cursor)};
    const size_t n_nets = tl_cursor_u32(cursor);
    enum tl_rc rc = TL_OK;

    if (cursor->failed || n_nets == 0 || n_nets > MODEL_NETS_MAX || !isfinite(mlp.offset) || !isfinite(mlp.scale)) {
        return tl_fail(err, TL_MALFORMED, "a saved ensemble is cut short or has impossible numbers");
    }
    for (size_t k = 0; !rc && k < n_nets; k++) {
        rc = net_load(cursor, &mlp.nets[k], err);
        mlp.n_nets += !rc;
        if (!rc && mlp.nets[k].sizes[0] != mlp.nets[0].sizes[0]) {
            rc = tl_fail(err, TL_MALFORMED, "the networks of a saved ensemble differ in features");
        }
    }
    if (rc) {
        mlp_done(&mlp);
        return rc;
    }
    *ret_mlp = mlp;
    return TL_OK;
}
