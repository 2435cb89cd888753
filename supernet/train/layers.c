/* layers.c - see layers.h. A task writes rows, channels or weights that no other task of its run touches. */
#include "supernet/train/layers.h"

#include <string.h>

enum {
    TILE_FLOATS = 1 << 15, /* of a tensor's rows that one task handles: in the second cache with what it reads */
    WEIGHT_BLOCKS = 4,     /* tasks of a weight gradient */
    CHANNEL_GROUPS = 8,    /* tasks that go by channels, at most */
};

static struct k_range part(size_t size, size_t i, size_t n)
{
    return (struct k_range){size * i / n, size * (i + 1) / n};
}

static size_t rows_of(const struct k_shape *shape)
{
    return shape->nb * shape->h;
}

size_t tr_floats(const struct k_shape *shape)
{
    return rows_of(shape) * shape->row + 2 * shape->halo * shape->ld;
}

size_t tr_padded(size_t channels, size_t lanes)
{
    return (channels + lanes - 1) / lanes * lanes;
}

/* Pieces of a tensor by rows. */
static size_t tiles_of(const struct k_shape *shape)
{
    const size_t rows = rows_of(shape), wanted = (rows * shape->w * shape->ld + TILE_FLOATS - 1) / TILE_FLOATS;
    const size_t most = rows < TR_TILES_MAX ? rows : TR_TILES_MAX;
    return wanted < most ? wanted : most;
}

/* sums (2, ld): what the tiles left in `partial`, in their order. */
static void add_partial(const struct tr_engine *engine, double *sums, size_t tiles, size_t ld)
{
    memset(sums, 0, 2 * ld * sizeof *sums);
    for (size_t t = 0; t < tiles; t++) {
        for (size_t c = 0; c < 2 * ld; c++) {
            sums[c] += (double)engine->partial[t * 2 * ld + c];
        }
    }
}

/* ---- convolutions -------------------------------------------------------------------------------------------- */

struct pack_job {
    const struct tr_engine *engine;
    const struct tr_weights *w;
    bool transposed;
    size_t tasks;
};

static void pack_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct pack_job *job = ctx;
    const struct tr_weights *w = job->w;
    const size_t lanes = job->engine->k->lanes, outputs = job->transposed ? w->inputs : w->co;
    const struct k_range panels = part(k_panels((outputs + lanes - 1) / lanes), task, job->tasks);
    if (job->transposed) {
        k_pack_transposed(job->engine->packed, w->w, w->ldw, w->co, w->inputs, lanes, panels);
    } else {
        k_pack_view(job->engine->packed, w->w, w->ldw, w->co, w->inputs, lanes, panels);
    }
}

static void pack(const struct tr_engine *engine, const struct tr_weights *w, bool transposed)
{
    struct pack_job job = {.engine = engine, .w = w, .transposed = transposed, .tasks = CHANNEL_GROUPS};
    tl_pool_run(engine->pool, pack_task, &job, job.tasks);
}

struct conv_job {
    const struct tr_engine *engine;
    struct k_conv op;
    size_t tiles;
    const float *centre; /* NULL: no sums */
};

static void conv_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_job *job = ctx;
    const struct k_conv *op = &job->op;
    const struct k_shape *to = op->y_shape;
    const struct k_range rows = part(rows_of(to), task, job->tiles), vectors = {0, op->vectors};
    if (k_flat(op->kernel, op->stride)) {
        job->engine->k->conv(op, (struct k_range){0, 1}, (struct k_range){rows.from * to->w, rows.to * to->w}, vectors);
    } else {
        job->engine->k->conv(op, rows, (struct k_range){0, to->w}, vectors);
    }
    if (job->centre != NULL) {
        float *sums = job->engine->partial + task * 2 * to->ld;
        job->engine->g->sums(sums, sums + to->ld, op->y, to, job->centre, rows);
    }
}

static void run_conv(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x,
                     size_t outputs, const float *bias, const struct tr_tensor *residual, size_t kernel, size_t stride,
                     const float *centre, double *sums)
{
    struct conv_job job = {
        .engine = engine,
        .op = {.y = y->data,
               .x = x->data,
               .residual = residual == NULL ? NULL : residual->data,
               .y_shape = &y->shape,
               .x_shape = &x->shape,
               .residual_shape = residual == NULL ? NULL : &residual->shape,
               .w = engine->packed,
               .bias = bias == NULL ? engine->zeros : bias,
               .vectors = (outputs + engine->k->lanes - 1) / engine->k->lanes,
               .kernel = kernel,
               .stride = stride},
        .tiles = tiles_of(&y->shape),
        .centre = sums == NULL ? NULL : centre,
    };
    tl_pool_run(engine->pool, conv_task, &job, job.tiles);
    if (sums != NULL) {
        add_partial(engine, sums, job.tiles, y->shape.ld);
    }
}

void tr_conv(const struct tr_engine *engine, const struct tr_tensor *z, const struct tr_tensor *x,
             const struct tr_weights *w, const float *bias, const struct tr_tensor *residual, size_t kernel,
             size_t stride, const float *centre, double *sums)
{
    pack(engine, w, false);
    run_conv(engine, z, x, w->co, bias, residual, kernel, stride, centre, sums);
}

void tr_conv_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dz,
                   const struct tr_weights *w, const struct tr_tensor *residual)
{
    pack(engine, w, true);
    run_conv(engine, dx, dz, w->inputs, NULL, residual, 1, 1, NULL, NULL);
}

struct weights_job {
    const struct tr_engine *engine;
    float *dw;
    const struct tr_weights *w;
    const float *dz, *x;
    size_t ldz, ldx, n_pixels, blocks;
};

/* The longer side of the gradient is cut at whole vectors. */
static void weights_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct weights_job *job = ctx;
    const struct tr_weights *w = job->w;
    const size_t lanes = job->engine->k->lanes;
    const bool by_outputs = w->co >= w->inputs;
    const size_t side = by_outputs ? w->co : w->inputs, n_vectors = (side + lanes - 1) / lanes;
    struct k_range at = part(n_vectors, task, job->blocks);
    at.from *= lanes;
    at.to = at.to * lanes < side ? at.to * lanes : side;
    if (by_outputs) {
        job->engine->g->conv_weights(job->dw + at.from * w->ldw, w->ldw, job->dz + at.from, job->ldz, job->x, job->ldx,
                                     job->n_pixels, at.to - at.from, w->inputs);
    } else {
        job->engine->g->conv_weights(job->dw + at.from, w->ldw, job->dz, job->ldz, job->x + at.from, job->ldx,
                                     job->n_pixels, w->co, at.to - at.from);
    }
}

static void run_weights(struct weights_job *job)
{
    const size_t lanes = job->engine->k->lanes;
    const size_t side = job->w->co >= job->w->inputs ? job->w->co : job->w->inputs,
                 vectors = (side + lanes - 1) / lanes;
    job->blocks = vectors < WEIGHT_BLOCKS ? vectors : WEIGHT_BLOCKS;
    tl_pool_run(job->engine->pool, weights_task, job, job->blocks);
}

void tr_conv_weights(const struct tr_engine *engine, float *dw, const struct tr_weights *w, const struct tr_tensor *dz,
                     const struct tr_tensor *x)
{
    struct weights_job job = {.engine = engine,
                              .dw = dw,
                              .w = w,
                              .dz = dz->data,
                              .x = x->data,
                              .ldz = dz->shape.ld,
                              .ldx = x->shape.ld,
                              .n_pixels = rows_of(&dz->shape) * dz->shape.w};
    run_weights(&job);
}

struct patches_job {
    const struct tr_tensor *x;
    const struct k_shape *z;
    float *patches;
    size_t ld, kernel, stride, tiles;
};

/* patches[q, (ky, kx, i)] = x[q * stride + (ky, kx) - kernel / 2, i]; what lies outside the map is zero. */
static void patches_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct patches_job *job = ctx;
    const struct k_shape *from = &job->x->shape, *to = job->z;
    const struct k_range rows = part(rows_of(to), task, job->tiles);
    const size_t run = job->kernel * from->c;
    for (size_t row = rows.from; row < rows.to; row++) {
        const struct k_span span = k_span_of(row, to->h, from->h, job->kernel, job->stride);
        for (size_t col = 0; col < to->w; col++) {
            float *patch = job->patches + (row * to->w + col) * job->ld;
            memset(patch, 0, job->ld * sizeof *patch);
            const float *x = job->x->data + span.first * from->row + col * job->stride * from->ld;
            for (size_t ky = 0; ky < span.n; ky++) {
                for (size_t kx = 0; kx < job->kernel; kx++) {
                    const float *pixel = x + ky * from->row + kx * from->ld - job->kernel / 2 * from->ld;
                    memcpy(patch + (span.skipped + ky) * run + kx * from->c, pixel, from->c * sizeof *pixel);
                }
            }
        }
    }
}

size_t tr_patches_floats(const struct k_shape *z, size_t nb, size_t inputs, size_t lanes)
{
    return nb * z->h * z->w * tr_padded(inputs, lanes);
}

/* Images whose patches there is room for. */
static size_t images_at_once(const struct tr_patches *patches, const struct k_shape *z, size_t ld)
{
    const size_t n = patches->floats / (z->h * z->w * ld);
    return n < 1 ? 1 : n < z->nb ? n : z->nb;
}

static struct tr_tensor some_images(const struct tr_tensor *all, size_t first, size_t n)
{
    struct tr_tensor some = *all;
    some.data += first * all->shape.h * all->shape.row;
    some.shape.nb = n < all->shape.nb - first ? n : all->shape.nb - first;
    return some;
}

void tr_patches_weights(const struct tr_engine *engine, float *dw, const struct tr_weights *w,
                        const struct tr_tensor *dz, const struct tr_tensor *x, size_t kernel, size_t stride,
                        const struct tr_patches *patches)
{
    const size_t ld = tr_padded(w->inputs, engine->k->lanes), n = images_at_once(patches, &dz->shape, ld);
    for (size_t first = 0; first < dz->shape.nb; first += n) {
        const struct tr_tensor dz_part = some_images(dz, first, n), x_part = some_images(x, first, n);
        struct patches_job cut = {.x = &x_part,
                                  .z = &dz_part.shape,
                                  .patches = patches->memory,
                                  .ld = ld,
                                  .kernel = kernel,
                                  .stride = stride,
                                  .tiles = tiles_of(&dz_part.shape)};
        tl_pool_run(engine->pool, patches_task, &cut, cut.tiles);
        struct weights_job job = {.engine = engine,
                                  .dw = dw,
                                  .w = w,
                                  .dz = dz_part.data,
                                  .x = patches->memory,
                                  .ldz = dz->shape.ld,
                                  .ldx = ld,
                                  .n_pixels = rows_of(&dz_part.shape) * dz->shape.w};
        run_weights(&job);
    }
}

/* What the patches of one image give back to its pixels. */
struct gather_job {
    const struct tr_tensor *dx;
    const struct k_shape *z;
    const float *patches;
    size_t ld, kernel, stride;
};

static void gather_task(void *ctx, size_t image, unsigned thread)
{
    (void)thread;
    const struct gather_job *job = ctx;
    const struct k_shape *to = &job->dx->shape, *from = job->z;
    const size_t c = to->c, pad = job->kernel / 2;
    float *dx = job->dx->data + image * to->h * to->row;
    memset(dx, 0, to->h * to->row * sizeof *dx);
    for (size_t row = 0; row < from->h; row++) {
        const struct k_span span = k_span_of(row, from->h, to->h, job->kernel, job->stride);
        for (size_t col = 0; col < from->w; col++) {
            const float *patch = job->patches + ((image * from->h + row) * from->w + col) * job->ld;
            for (size_t tap = span.skipped * job->kernel; tap < (span.skipped + span.n) * job->kernel; tap++) {
                const size_t y = span.first + tap / job->kernel - span.skipped;
                const size_t x = col * job->stride + tap % job->kernel;
                for (size_t i = 0; x >= pad && x - pad < to->w && i < c; i++) {
                    dx[y * to->row + (x - pad) * to->ld + i] += patch[tap * c + i];
                }
            }
        }
    }
}

void tr_patches_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_weights *w,
                      const struct tr_tensor *dz, size_t kernel, size_t stride, const struct tr_patches *patches)
{
    const size_t ld = tr_padded(w->inputs, engine->k->lanes), n = images_at_once(patches, &dz->shape, ld);
    pack(engine, w, true);
    for (size_t first = 0; first < dz->shape.nb; first += n) {
        const struct tr_tensor dz_part = some_images(dz, first, n), dx_part = some_images(dx, first, n);
        struct tr_tensor dpatches = {.data = patches->memory, .shape = dz_part.shape};
        dpatches.shape.c = w->inputs;
        dpatches.shape.ld = ld;
        dpatches.shape.row = dpatches.shape.w * ld;
        dpatches.shape.halo = 0;
        run_conv(engine, &dpatches, &dz_part, w->inputs, NULL, NULL, 1, 1, NULL, NULL);
        struct gather_job job = {.dx = &dx_part,
                                 .z = &dz_part.shape,
                                 .patches = patches->memory,
                                 .ld = ld,
                                 .kernel = kernel,
                                 .stride = stride};
        tl_pool_run(engine->pool, gather_task, &job, dx_part.shape.nb);
    }
}

/* ---- depthwise ----------------------------------------------------------------------------------------------- */

struct depthwise_job {
    const struct tr_engine *engine;
    struct k_depthwise op;
    size_t tiles;
    const float *centre;
};

static void depthwise_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct depthwise_job *job = ctx;
    const struct k_shape *to = job->op.y_shape;
    const struct k_range rows = part(rows_of(to), task, job->tiles);
    job->engine->k->depthwise(&job->op, rows, (struct k_range){0, to->ld / job->engine->k->lanes});
    float *sums = job->engine->partial + task * 2 * to->ld;
    job->engine->g->sums(sums, sums + to->ld, job->op.y, to, job->centre, rows);
}

void tr_depthwise(const struct tr_engine *engine, const struct tr_tensor *z, const struct tr_tensor *x, const float *w,
                  size_t kernel, size_t stride, const float *centre, double *sums)
{
    struct depthwise_job job = {.engine = engine,
                                .op = {.y = z->data,
                                       .x = x->data,
                                       .y_shape = &z->shape,
                                       .x_shape = &x->shape,
                                       .w = w,
                                       .bias = engine->zeros,
                                       .kernel = kernel,
                                       .stride = stride},
                                .tiles = tiles_of(&z->shape),
                                .centre = centre};
    tl_pool_run(engine->pool, depthwise_task, &job, job.tiles);
    add_partial(engine, sums, job.tiles, z->shape.ld);
}

struct back_job {
    const struct tr_engine *engine;
    float *to; /* dx, or dw */
    const struct tr_tensor *dx, *dz, *x;
    const float *w;
    size_t kernel, stride, tasks;
};

static void depthwise_input_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct back_job *job = ctx;
    const struct k_shape *shape = &job->dx->shape;
    job->engine->g->depthwise_input(job->dx->data, shape, job->dz->data, &job->dz->shape, job->w, job->kernel,
                                    job->stride, part(rows_of(shape), task, job->tasks),
                                    (struct k_range){0, shape->ld / job->engine->k->lanes});
}

void tr_depthwise_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dz,
                        const float *w, size_t kernel, size_t stride)
{
    struct back_job job = {.engine = engine,
                           .dx = dx,
                           .dz = dz,
                           .w = w,
                           .kernel = kernel,
                           .stride = stride,
                           .tasks = tiles_of(&dx->shape)};
    tl_pool_run(engine->pool, depthwise_input_task, &job, job.tasks);
}

static void depthwise_weights_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct back_job *job = ctx;
    const size_t vectors = job->dz->shape.ld / job->engine->k->lanes;
    job->engine->g->depthwise_weights(job->to, job->dz->data, &job->dz->shape, job->x->data, &job->x->shape,
                                      job->kernel, job->stride, (struct k_range){0, rows_of(&job->dz->shape)},
                                      part(vectors, task, job->tasks));
}

void tr_depthwise_weights(const struct tr_engine *engine, float *dw, const struct tr_tensor *dz,
                          const struct tr_tensor *x, size_t kernel, size_t stride)
{
    const size_t vectors = dz->shape.ld / engine->k->lanes;
    struct back_job job = {.engine = engine,
                           .to = dw,
                           .dz = dz,
                           .x = x,
                           .kernel = kernel,
                           .stride = stride,
                           .tasks = vectors < CHANNEL_GROUPS ? vectors : CHANNEL_GROUPS};
    tl_pool_run(engine->pool, depthwise_weights_task, &job, job.tasks);
}

/* ---- elementwise and reductions ------------------------------------------------------------------------------ */

/* One job for what goes by rows: each task below reads the fields it needs. */
struct rows_job {
    const struct tr_engine *engine;
    const struct tr_tensor *y, *x, *second; /* x, second may be NULL */
    const struct k_affine *of;
    const float *gate, *a, *b, *k;
    size_t ldg, tiles;
};

static void run_rows(struct rows_job *job, void (*task)(void *, size_t, unsigned))
{
    job->tiles = tiles_of(&job->y->shape);
    tl_pool_run(job->engine->pool, task, job, job->tiles);
}

static void affine_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    const struct tr_tensor *residual = job->second;
    job->engine->g->affine(job->y->data, &job->y->shape, job->of, job->gate, job->ldg,
                           residual == NULL ? NULL : residual->data, residual == NULL ? NULL : &residual->shape,
                           part(rows_of(&job->y->shape), task, job->tiles));
}

void tr_affine(const struct tr_engine *engine, const struct tr_tensor *y, const struct k_affine *of, const float *gate,
               size_t ldg, const struct tr_tensor *residual)
{
    struct rows_job job = {.engine = engine, .y = y, .second = residual, .of = of, .gate = gate, .ldg = ldg};
    run_rows(&job, affine_task);
}

static void affine_sums_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    float *sums = job->engine->partial + task * 2 * job->of->z_shape->ld;
    job->engine->g->affine_sums(sums, sums + job->of->z_shape->ld, job->y->data, &job->y->shape, job->of, job->a,
                                part(rows_of(&job->y->shape), task, job->tiles));
}

void tr_affine_sums(const struct tr_engine *engine, double *sums, const struct tr_tensor *dy, const struct k_affine *of,
                    const float *mean)
{
    struct rows_job job = {.engine = engine, .y = dy, .of = of, .a = mean};
    run_rows(&job, affine_sums_task);
    add_partial(engine, sums, job.tiles, of->z_shape->ld);
}

static void affine_gradient_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    job->engine->g->affine_gradient(job->y->data, &job->y->shape, job->x->data, &job->x->shape, job->of, job->a, job->b,
                                    job->k, part(rows_of(&job->y->shape), task, job->tiles));
}

void tr_affine_gradient(const struct tr_engine *engine, const struct tr_tensor *dz, const struct tr_tensor *dy,
                        const struct k_affine *of, const float *a, const float *b, const float *k)
{
    struct rows_job job = {.engine = engine, .y = dz, .x = dy, .of = of, .a = a, .b = b, .k = k};
    run_rows(&job, affine_gradient_task);
}

static void sums_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    const size_t ld = job->y->shape.ld;
    float *sums = job->engine->partial + task * 2 * ld;
    job->engine->g->sums(sums, sums + ld, job->y->data, &job->y->shape, job->a,
                         part(rows_of(&job->y->shape), task, job->tiles));
}

void tr_sums(const struct tr_engine *engine, double *sums, const struct tr_tensor *z, const float *centre)
{
    struct rows_job job = {.engine = engine, .y = z, .a = centre};
    run_rows(&job, sums_task);
    add_partial(engine, sums, job.tiles, z->shape.ld);
}

static void gate_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    job->engine->g->gate(job->y->data, &job->y->shape, job->x == NULL ? NULL : job->x->data,
                         job->x == NULL ? NULL : &job->x->shape, job->gate, job->a, job->ldg,
                         part(rows_of(&job->y->shape), task, job->tiles));
}

void tr_gate(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x, const float *gate,
             const float *add, size_t ldg)
{
    struct rows_job job = {.engine = engine, .y = y, .x = x, .gate = gate, .a = add, .ldg = ldg};
    run_rows(&job, gate_task);
}

static void scale_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    const struct tr_tensor *y = job->y;
    job->engine->k->scale(y->data, &y->shape, y->data, &y->shape, job->gate, job->ldg,
                          part(rows_of(&y->shape), task, job->tiles));
}

void tr_scale(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *gate)
{
    struct rows_job job = {.engine = engine, .y = y, .gate = gate->data, .ldg = gate->shape.ld};
    run_rows(&job, scale_task);
}

static void add_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    job->engine->k->add(job->y->data, &job->y->shape, job->x->data, &job->x->shape, job->second->data,
                        &job->second->shape, part(rows_of(&job->y->shape), task, job->tiles));
}

void tr_add(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *a,
            const struct tr_tensor *b)
{
    struct rows_job job = {.engine = engine, .y = y, .x = a, .second = b};
    run_rows(&job, add_task);
}

/* What goes by images or by channels. */
struct images_job {
    const struct tr_engine *engine;
    const struct tr_tensor *a, *b;
    float *to;
    size_t ld, tasks;
};

static void dots_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct images_job *job = ctx;
    job->engine->g->dots(job->to, job->ld, job->a->data, &job->a->shape, job->b->data, &job->b->shape,
                         part(job->a->shape.nb, task, job->tasks));
}

void tr_dots(const struct tr_engine *engine, float *dots, size_t ldd, const struct tr_tensor *a,
             const struct tr_tensor *b)
{
    struct images_job job = {.engine = engine, .a = a, .b = b, .to = dots, .ld = ldd, .tasks = a->shape.nb};
    tl_pool_run(engine->pool, dots_task, &job, job.tasks);
}

/* One image, as a tensor of its own. */
static void mean_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    const struct images_job *job = ctx;
    struct k_shape one = job->a->shape;
    one.nb = 1;
    job->engine->k->mean(job->to + task * job->ld, job->ld, job->a->data + task * one.h * one.row, &one,
                         (struct k_range){0, one.ld / job->engine->k->lanes});
}

void tr_mean(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x)
{
    struct images_job job = {.engine = engine, .a = x, .to = y->data, .ld = y->shape.ld, .tasks = x->shape.nb};
    tl_pool_run(engine->pool, mean_task, &job, job.tasks);
}
