/* layers_pool.c - max-pooling and averaging, forward and backward: a task an image. */
#include "supernet/train/layers.h"

struct pool_job {
    const struct tr_tensor *y, *x, *third; /* third: what the gradient of the largest compares */
    size_t kernel, stride;
};

static struct k_range rows_of_image(const struct k_shape *shape, size_t image)
{
    return (struct k_range){image * shape->h, (image + 1) * shape->h};
}

static void pool_max_task(void *ctx, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_job *job = ctx;
    k_pool_max(job->y->data, &job->y->shape, job->x->data, &job->x->shape, job->kernel, job->stride,
               rows_of_image(&job->y->shape, image));
}

void tr_pool_max(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x, size_t kernel,
                 size_t stride)
{
    struct pool_job job = {.y = y, .x = x, .kernel = kernel, .stride = stride};
    tl_pool_run(engine->pool, pool_max_task, &job, y->shape.nb);
}

static void pool_average_task(void *ctx, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_job *job = ctx;
    k_pool_average(job->y->data, &job->y->shape, job->x->data, &job->x->shape, job->stride,
                   rows_of_image(&job->y->shape, image));
}

void tr_pool_average(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x,
                     size_t stride)
{
    struct pool_job job = {.y = y, .x = x, .stride = stride};
    tl_pool_run(engine->pool, pool_average_task, &job, y->shape.nb);
}

static void pool_max_input_task(void *ctx, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_job *job = ctx;
    k_pool_max_input(job->y->data, &job->y->shape, job->x->data, &job->x->shape, job->third->data, &job->third->shape,
                     job->kernel, job->stride, (struct k_range){image, image + 1});
}

void tr_pool_max_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dy,
                       const struct tr_tensor *x, size_t kernel, size_t stride)
{
    struct pool_job job = {.y = dx, .x = dy, .third = x, .kernel = kernel, .stride = stride};
    tl_pool_run(engine->pool, pool_max_input_task, &job, dx->shape.nb);
}

static void pool_average_input_task(void *ctx, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_job *job = ctx;
    k_pool_average_input(job->y->data, &job->y->shape, job->x->data, &job->x->shape, job->stride,
                         (struct k_range){image, image + 1});
}

void tr_pool_average_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dy,
                           size_t stride)
{
    struct pool_job job = {.y = dx, .x = dy, .stride = stride};
    tl_pool_run(engine->pool, pool_average_input_task, &job, dx->shape.nb);
}
