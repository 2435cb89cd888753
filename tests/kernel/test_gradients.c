/* Every training kernel against its plain twin: sizes of 1 and sizes that do not fill vectors, strides, borders, parts;
 * and the twins' batch norm against central differences. */
#include "supernet/kernels/gradient.h"
#include "tests/kernel/isa.h"

#include <cmocka.h>
#include <math.h>

static const double LIMIT = 1e-10; /* normalised squared error */

static const size_t SIDES[] = {1, 2, 3, 4, 7, 8, 9, 14, 17, 33};
static const size_t CHANNELS[] = {8, 16, 24, 40, 96};

struct array {
    float *memory; /* owned */
    float *data;   /* behind the first halo */
    size_t n;
};

static void array_done(struct array *array)
{
    free(array->memory);
}

#define AUTO(type) __attribute__((cleanup(type##_done))) struct type

static struct k_shape shape_of(size_t nb, size_t side, size_t c, size_t halo)
{
    const size_t lanes = k_gradient_best()->lanes, ld = (c + lanes - 1) / lanes * lanes;
    return (struct k_shape){.nb = nb, .h = side, .w = side, .c = c, .ld = ld, .row = (side + halo) * ld, .halo = halo};
}

static struct array numbers(size_t n, uint64_t seed)
{
    struct array array = {.memory = malloc((n + 64) * sizeof(float)), .n = n};
    struct tl_rng rng;
    assert_non_null(array.memory);
    array.data = array.memory;
    tl_rng_init(&rng, 7, seed, n);
    for (size_t i = 0; i < n + 64; i++) {
        array.memory[i] = 2.0F * (float)tl_rng_normal(&rng);
    }
    return array;
}

/* A tensor of random pixels with zeros in its halo. */
static struct array tensor(const struct k_shape *shape, uint64_t seed)
{
    const size_t border = shape->halo * shape->ld;
    struct array array = numbers(shape->nb * shape->h * shape->row + 2 * border, seed);
    array.data += border;
    memset(array.memory, 0, border * sizeof(float));
    for (size_t row = 0; row < shape->nb * shape->h; row++) {
        memset(array.data + row * shape->row + shape->w * shape->ld, 0, border * sizeof(float));
    }
    return array;
}

static struct array copy_of(const struct array *from)
{
    struct array array = {.memory = malloc((from->n + 64) * sizeof(float)), .n = from->n};
    assert_non_null(array.memory);
    memcpy(array.memory, from->memory, (from->n + 64) * sizeof(float));
    array.data = array.memory + (from->data - from->memory);
    return array;
}

/* All of both, halos and what lies behind included. */
static void assert_close(const struct array *a, const struct array *b)
{
    double difference = 0.0, size = 1e-30;
    for (size_t i = 0; i < a->n; i++) {
        const double off = (double)a->memory[i] - (double)b->memory[i];
        difference += off * off;
        size += (double)b->memory[i] * (double)b->memory[i];
    }
    assert_true(difference <= LIMIT * size);
    assert_memory_equal(a->memory + a->n, b->memory + b->n, 64 * sizeof(float));
}

/* ---- depthwise ----------------------------------------------------------------------------------------------- */

static void check_depthwise(size_t side, size_t c, size_t kernel, size_t stride)
{
    const struct k_gradient_table *g = k_gradient_best();
    const size_t out = (side - 1) / stride + 1, taps = kernel * kernel;
    const struct k_shape x_shape = shape_of(2, side, c, kernel / 2), z_shape = shape_of(2, out, c, kernel / 2);
    const struct k_shape dx_shape = shape_of(2, side, c, 0);
    const struct k_range vectors = {0, x_shape.ld / g->lanes};
    AUTO(array) x = tensor(&x_shape, 1);
    AUTO(array) dz = tensor(&z_shape, 2);
    AUTO(array) w = numbers(x_shape.ld * taps, 3);
    AUTO(array) dx = tensor(&dx_shape, 4);
    AUTO(array) dx_ref = copy_of(&dx);
    AUTO(array) dw = numbers(x_shape.ld * taps, 5);
    AUTO(array) dw_ref = copy_of(&dw);
    for (size_t row = 0; row < 2 * side; row += side) { /* in parts */
        g->depthwise_input(dx.data, &dx_shape, dz.data, &z_shape, w.data, kernel, stride,
                           (struct k_range){row, row + side}, vectors);
    }
    k_depthwise_input_ref(dx_ref.data, &dx_shape, dz.data, &z_shape, w.data, kernel, stride, g->lanes);
    assert_close(&dx, &dx_ref);
    g->depthwise_weights(dw.data, dz.data, &z_shape, x.data, &x_shape, kernel, stride, (struct k_range){0, 2 * out},
                         vectors);
    k_depthwise_weights_ref(dw_ref.data, dz.data, &z_shape, x.data, &x_shape, kernel, stride, g->lanes);
    assert_close(&dw, &dw_ref);
}

static void depthwise_gradients_are_those_of_their_twins(void **state)
{
    (void)state;
    for (size_t s = 0; s < TL_COUNT_OF(SIDES); s++) {
        for (size_t c = 0; c < TL_COUNT_OF(CHANNELS); c++) {
            for (size_t kernel = 1; kernel <= 7; kernel += 2) {
                check_depthwise(SIDES[s], CHANNELS[c], kernel, 1);
                check_depthwise(SIDES[s], CHANNELS[c], kernel, 2);
            }
        }
    }
}

/* ---- pointwise ----------------------------------------------------------------------------------------------- */

static void check_weights(size_t co, size_t ci, size_t n)
{
    const struct k_gradient_table *g = k_gradient_best();
    const size_t ldz = (co + g->lanes - 1) / g->lanes * g->lanes, ldx = (ci + g->lanes - 1) / g->lanes * g->lanes;
    const size_t ldw = ci + 3; /* columns beyond the cut belong to a larger layer */
    AUTO(array) dz = numbers(n * ldz, co);
    AUTO(array) x = numbers(n * ldx, ci);
    AUTO(array) dw = numbers(co * ldw, n);
    AUTO(array) dw_ref = copy_of(&dw);
    AUTO(array) before = copy_of(&dw);
    g->conv_weights(dw.data, ldw, dz.data, ldz, x.data, ldx, n, co, ci);
    k_conv_weights_ref(dw_ref.data, ldw, dz.data, ldz, x.data, ldx, n, co, ci);
    assert_close(&dw, &dw_ref);
    for (size_t o = 0; o < co; o++) {
        assert_memory_equal(dw.data + o * ldw + ci, before.data + o * ldw + ci, 3 * sizeof(float));
    }
}

static void pointwise_weight_gradients_stay_within_the_cut(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 5, 6, 8, 10, 24, 40, 97, 144}, pixels[] = {1, 3, 128, 300, 1000};
    for (size_t o = 0; o < TL_COUNT_OF(sizes); o++) {
        for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
            for (size_t p = 0; p < TL_COUNT_OF(pixels); p++) {
                check_weights(sizes[o], sizes[i], pixels[p]);
            }
        }
    }
}

/* Packing a cut layer panel by panel is packing the layer that was cut out; likewise its transpose. */
static void check_pack(size_t co, size_t inputs)
{
    const size_t lanes = k_gradient_best()->lanes, ldw = inputs + 5;
    const size_t n = (co + lanes - 1) / lanes * lanes * inputs, n_back = (inputs + lanes - 1) / lanes * lanes * co;
    AUTO(array) w = numbers(co * ldw, 1);
    AUTO(array) cut = numbers(co * inputs, 2);
    AUTO(array) turned = numbers(co * inputs, 3);
    AUTO(array) packed = numbers(n, 4);
    AUTO(array) wanted = copy_of(&packed);
    AUTO(array) back = numbers(n_back, 5);
    AUTO(array) back_wanted = copy_of(&back);
    for (size_t o = 0; o < co; o++) {
        for (size_t i = 0; i < inputs; i++) {
            cut.data[o * inputs + i] = turned.data[i * co + o] = w.data[o * ldw + i];
        }
    }
    memset(wanted.data, 0, n * sizeof(float));
    memset(back_wanted.data, 0, n_back * sizeof(float));
    k_pack_conv(wanted.data, cut.data, (struct net_layer){.co = co, .inputs = inputs}, lanes);
    k_pack_conv(back_wanted.data, turned.data, (struct net_layer){.co = inputs, .inputs = co}, lanes);
    const size_t panels = k_panels((co + lanes - 1) / lanes), back_panels = k_panels((inputs + lanes - 1) / lanes);
    for (size_t p = 0; p < panels; p++) {
        k_pack_view(packed.data, w.data, ldw, co, inputs, lanes, (struct k_range){p, p + 1});
    }
    k_pack_transposed(back.data, w.data, ldw, co, inputs, lanes, (struct k_range){0, back_panels});
    assert_memory_equal(packed.memory, wanted.memory, (packed.n + 64) * sizeof(float));
    assert_memory_equal(back.memory, back_wanted.memory, (back.n + 64) * sizeof(float));
}

static void a_cut_layer_is_packed_like_one_cut_out(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 8, 16, 24, 33, 48, 50, 96};
    for (size_t o = 0; o < TL_COUNT_OF(sizes); o++) {
        for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
            check_pack(sizes[o], sizes[i]);
        }
    }
}

/* ---- batch norm, activations, gates -------------------------------------------------------------------------- */

/* What the checks of one shape share. */
struct field {
    struct k_shape y_shape, z_shape;
    struct array z, d, scale, shift, gate, mean, a, b, k;
};

static void field_done(struct field *f)
{
    struct array *const arrays[] = {&f->z, &f->d, &f->scale, &f->shift, &f->gate, &f->mean, &f->a, &f->b, &f->k};
    for (size_t i = 0; i < TL_COUNT_OF(arrays); i++) {
        array_done(arrays[i]);
    }
}

static struct field field_of(size_t side, size_t c, size_t halo)
{
    struct field f = {.y_shape = shape_of(2, side, c, halo), .z_shape = shape_of(2, side, c, 0)};
    const size_t ld = f.z_shape.ld;
    f.z = tensor(&f.z_shape, 1);
    f.d = tensor(&f.z_shape, 2);
    f.scale = numbers(ld, 3);
    f.shift = numbers(ld, 4);
    f.gate = numbers(2 * ld, 5);
    f.mean = numbers(ld, 6);
    f.a = numbers(ld, 7);
    f.b = numbers(ld, 8);
    f.k = numbers(ld, 9);
    return f;
}

static void check_affine(const struct field *f, enum k_act act)
{
    const struct k_gradient_table *g = k_gradient_best();
    const struct k_affine of = {f->z.data, &f->z_shape, f->scale.data, f->shift.data, act};
    const size_t rows = 2 * f->y_shape.h, cut = rows / 3, ld = f->z_shape.ld;
    for (unsigned with = 0; with < 4; with++) {
        const float *gate = with & 1U ? f->gate.data : NULL, *residual = with & 2U ? f->d.data : NULL;
        AUTO(array) y = tensor(&f->y_shape, 10);
        AUTO(array) y_ref = copy_of(&y);
        for (size_t i = 0; i < f->y_shape.halo * ld; i++) {
            y.memory[i] = 1.0F; /* the halo is written, whatever was there */
        }
        g->affine(y.data, &f->y_shape, &of, gate, ld, residual, &f->z_shape, (struct k_range){0, cut});
        g->affine(y.data, &f->y_shape, &of, gate, ld, residual, &f->z_shape, (struct k_range){cut, rows});
        if (cut == 0) {
            g->affine(y.data, &f->y_shape, &of, gate, ld, residual, &f->z_shape, (struct k_range){0, rows});
        }
        k_affine_ref(y_ref.data, &f->y_shape, &of, gate, ld, residual, &f->z_shape);
        assert_close(&y, &y_ref);
    }
    AUTO(array) dz = tensor(&f->y_shape, 11);
    AUTO(array) dz_ref = copy_of(&dz);
    g->affine_gradient(dz.data, &f->y_shape, f->d.data, &f->z_shape, &of, f->a.data, f->b.data, f->k.data,
                       (struct k_range){0, rows});
    k_affine_gradient_ref(dz_ref.data, &f->y_shape, f->d.data, &f->z_shape, &of, f->a.data, f->b.data, f->k.data);
    assert_close(&dz, &dz_ref);
    AUTO(array) sums = numbers(2 * ld, 12);
    AUTO(array) sums_ref = copy_of(&sums);
    g->affine_sums(sums.data, sums.data + ld, f->d.data, &f->z_shape, &of, f->mean.data, (struct k_range){0, rows});
    k_affine_sums_ref(sums_ref.data, sums_ref.data + ld, f->d.data, &f->z_shape, &of, f->mean.data);
    assert_close(&sums, &sums_ref);
}

static void check_reductions(const struct field *f)
{
    const struct k_gradient_table *g = k_gradient_best();
    const size_t rows = 2 * f->z_shape.h, ld = f->z_shape.ld;
    AUTO(array) sums = numbers(2 * ld, 13);
    AUTO(array) sums_ref = copy_of(&sums);
    AUTO(array) dots = numbers(2 * ld, 14);
    AUTO(array) dots_ref = copy_of(&dots);
    AUTO(array) y = tensor(&f->z_shape, 15);
    AUTO(array) y_ref = copy_of(&y);
    g->sums(sums.data, sums.data + ld, f->z.data, &f->z_shape, f->mean.data, (struct k_range){0, rows});
    k_sums_ref(sums_ref.data, sums_ref.data + ld, f->z.data, &f->z_shape, f->mean.data);
    assert_close(&sums, &sums_ref);
    g->dots(dots.data, ld, f->z.data, &f->z_shape, f->d.data, &f->z_shape, (struct k_range){0, 2});
    k_dots_ref(dots_ref.data, ld, f->z.data, &f->z_shape, f->d.data, &f->z_shape);
    assert_close(&dots, &dots_ref);
    for (int there = 0; there < 2; there++) {
        const float *x = there ? f->z.data : NULL;
        g->gate(y.data, &f->z_shape, x, &f->z_shape, f->gate.data, f->a.data, 0, (struct k_range){0, rows});
        k_gate_ref(y_ref.data, &f->z_shape, x, &f->z_shape, f->gate.data, f->a.data, 0);
        assert_close(&y, &y_ref);
    }
}

static void batch_norm_and_gates_are_those_of_their_twins(void **state)
{
    (void)state;
    for (size_t s = 0; s < TL_COUNT_OF(SIDES); s++) {
        for (size_t c = 0; c < TL_COUNT_OF(CHANNELS); c++) {
            AUTO(field) f = field_of(SIDES[s], CHANNELS[c], s % 4);
            for (int act = 0; act < K_ACT_COUNT; act++) {
                check_affine(&f, (enum k_act)act);
            }
            check_reductions(&f);
        }
    }
}

static void the_slope_of_an_activation_is_that_of_its_values(void **state)
{
    (void)state;
    const struct k_shape shape = shape_of(1, 1, 8, 0);
    const float one[64] = {1, 1, 1, 1, 1, 1, 1, 1}, none[64] = {0};
    for (int act = 0; act < K_ACT_COUNT; act++) {
        for (float u = -4.05F; u < 8.0F; u += 0.1F) {
            float z[64] = {0}, dz[64] = {0};
            const struct k_affine of = {z, &shape, one, none, (enum k_act)act};
            const double h = 1e-3, high = (double)k_act_ref(u + (float)h, (enum k_act)act);
            const double slope = (high - (double)k_act_ref(u - (float)h, (enum k_act)act)) / (2 * h);
            z[0] = u;
            k_affine_gradient_ref(dz, &shape, one, &shape, &of, one, none, none);
            assert_true(fabs((double)dz[0] - slope) < 2e-3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depthwise_gradients_are_those_of_their_twins),
        cmocka_unit_test(pointwise_weight_gradients_stay_within_the_cut),
        cmocka_unit_test(a_cut_layer_is_packed_like_one_cut_out),
        cmocka_unit_test(batch_norm_and_gates_are_those_of_their_twins),
        cmocka_unit_test(the_slope_of_an_activation_is_that_of_its_values),
    };
    const int missing = isa_missing();
    return missing ? missing : cmocka_run_group_tests(tests, NULL, NULL);
}
