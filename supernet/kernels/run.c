/* run.c - executes a plan: image by image, then what all images share; steps in order.
 *
 * Threads: with as many images as threads, each thread takes an image through the steps in a workspace of its own; else
 * threads share the tasks of each step. A task writes pixels, rows or channels that no other task of its step touches,
 * and reads what earlier steps left.
 */
#include "supernet/kernels/plan.h"

#include <string.h>

/* What the tasks of one step share. */
struct stage {
    const struct net_plan *plan;
    const struct k_step *step;
    const struct k_tensor *x_tensor, *y_tensor;
    const float *x, *second;
    float *y;
    const struct k_shape *second_shape;
};

/* The caller's memory of a run, and who runs: */
struct run {
    const struct net_plan *plan;
    const float *input;
    float *output;
    size_t image, space;  /* of the steps that go image by image: the image and the workspace it is in */
    struct tl_pool *pool; /* NULL: this thread alone */
};

/* Part i of n of `size`, cut evenly. */
static struct k_range part(size_t size, size_t i, size_t n)
{
    return (struct k_range){size * i / n, size * (i + 1) / n};
}

static size_t rows_of(const struct k_shape *shape)
{
    return shape->nb * shape->h;
}

/* Output vectors of channel group i, whole panels of the pointwise kernel. */
static struct k_range panel_vectors(const struct k_step *step, size_t i)
{
    const size_t panels = k_panels(step->vectors);
    const struct k_range at = part(panels, i, step->groups);
    return (struct k_range){at.from * 2, at.to == panels ? step->vectors : at.to * 2};
}

static void conv_task(const struct stage *at, size_t task)
{
    const struct k_step *step = at->step;
    const struct k_shape *to = &at->y_tensor->shape;
    const struct k_conv op = {
        .y = at->y,
        .x = at->x,
        .residual = at->second,
        .y_shape = to,
        .x_shape = &at->x_tensor->shape,
        .residual_shape = at->second_shape,
        .w = step->w,
        .bias = step->bias,
        .vectors = step->vectors,
        .kernel = step->kernel,
        .stride = step->stride,
        .act = step->act,
    };
    const size_t tile = task / step->groups;
    const struct k_range vectors = panel_vectors(step, task % step->groups);
    if (k_flat(op.kernel, op.stride)) {
        at->plan->k->conv(&op, (struct k_range){0, 1}, part(rows_of(to) * to->w, tile, step->tiles), vectors);
    } else {
        at->plan->k->conv(&op, part(rows_of(to), tile, step->tiles), (struct k_range){0, to->w}, vectors);
    }
}

static void depthwise_task(const struct stage *at, size_t task)
{
    const struct k_step *step = at->step;
    const struct k_depthwise op = {
        .y = at->y,
        .x = at->x,
        .y_shape = &at->y_tensor->shape,
        .x_shape = &at->x_tensor->shape,
        .w = step->w,
        .bias = step->bias,
        .kernel = step->kernel,
        .stride = step->stride,
        .act = step->act,
    };
    at->plan->k->depthwise(&op, part(rows_of(op.y_shape), task / step->groups, step->tiles),
                           part(step->vectors, task % step->groups, step->groups));
}

static void mean_task(const struct stage *at, size_t task)
{
    at->plan->k->mean(at->y, at->y_tensor->shape.ld, at->x, &at->x_tensor->shape,
                      part(at->step->vectors, task, at->step->groups));
}

static void scale_task(const struct stage *at, size_t task)
{
    at->plan->k->scale(at->y, &at->y_tensor->shape, at->x, &at->x_tensor->shape, at->second, at->second_shape->ld,
                       part(rows_of(&at->y_tensor->shape), task, at->step->tiles));
}

static void add_task(const struct stage *at, size_t task)
{
    at->plan->k->add(at->y, &at->y_tensor->shape, at->x, &at->x_tensor->shape, at->second, at->second_shape,
                     part(rows_of(&at->y_tensor->shape), task, at->step->tiles));
}

static void max_task(const struct stage *at, size_t task)
{
    k_pool_max(at->y, &at->y_tensor->shape, at->x, &at->x_tensor->shape, at->step->kernel, at->step->stride,
               part(rows_of(&at->y_tensor->shape), task, at->step->tiles));
}

static void average_task(const struct stage *at, size_t task)
{
    k_pool_average(at->y, &at->y_tensor->shape, at->x, &at->x_tensor->shape, at->step->stride,
                   part(rows_of(&at->y_tensor->shape), task, at->step->tiles));
}

static void activate_task(const struct stage *at, size_t task)
{
    k_map_activate(at->y, &at->y_tensor->shape, at->step->act,
                   part(rows_of(&at->y_tensor->shape), task, at->step->tiles));
}

/* Between the caller's dense memory and padded pixels; padding of the arena is left as it is. */
static void copy_task(const struct stage *at, size_t task)
{
    const struct k_shape *from = &at->x_tensor->shape, *to = &at->y_tensor->shape;
    const struct k_range rows = part(rows_of(to), task, at->step->tiles);
    const bool dense = from->ld == to->ld;
    const size_t n = dense ? 1 : to->w, floats = dense ? to->w * to->ld : to->c;
    for (size_t row = rows.from; row < rows.to; row++) {
        for (size_t col = 0; col < n; col++) {
            const float *pixel = at->x + row * from->row + col * from->ld;
            memcpy(at->y + row * to->row + col * to->ld, pixel, floats * sizeof *pixel);
        }
    }
}

static void run_task(void *ctx, size_t task, unsigned thread)
{
    static void (*const tasks[K_STEP_COUNT])(const struct stage *, size_t) = {
        [K_COPY] = copy_task, [K_CONV] = conv_task,       [K_DEPTHWISE] = depthwise_task,
        [K_MEAN] = mean_task, [K_SCALE] = scale_task,     [K_ADD] = add_task,
        [K_MAX] = max_task,   [K_AVERAGE] = average_task, [K_ACTIVATE] = activate_task,
    };
    (void)thread;
    const struct stage *at = ctx;
    tasks[at->step->kind](at, task);
}

static void clear_halo(float *data, const struct k_shape *shape)
{
    const size_t bytes = shape->halo * shape->ld * sizeof *data;
    memset(data - shape->halo * shape->ld, 0, bytes);
    for (size_t row = 0; row < rows_of(shape); row++) {
        memset(data + row * shape->row + shape->w * shape->ld, 0, bytes);
    }
}

static float *place_of(const struct run *run, const struct k_tensor *tensor)
{
    if (tensor->place == K_IN_SLOT && !tensor->whole) {
        return tensor->data + run->space * run->plan->space_floats;
    }
    float *first = tensor->place == K_IN_OUTPUT ? run->output : tensor->data;
    return first + run->image * tensor->shape.h * tensor->shape.row;
}

static const float *read_from(const struct run *run, const struct k_tensor *tensor)
{
    return tensor->place == K_IN_INPUT ? run->input + run->image * tensor->shape.h * tensor->shape.row
                                       : place_of(run, tensor);
}

static void run_step(const struct run *run, const struct k_step *step)
{
    const struct net_plan *plan = run->plan;
    const struct k_tensor *x = &plan->tensors[step->x], *y = &plan->tensors[step->y];
    const struct k_tensor *second = step->second == K_NO_TENSOR ? NULL : &plan->tensors[step->second];
    struct stage at = {
        .plan = plan,
        .step = step,
        .x_tensor = x,
        .y_tensor = y,
        .x = read_from(run, x),
        .second = second == NULL ? NULL : read_from(run, second),
        .y = place_of(run, y),
        .second_shape = second == NULL ? NULL : &second->shape,
    };
    if (y->shape.halo > 0 && x != y) {
        clear_halo(at.y, &y->shape);
    }
    tl_pool_run(run->pool, run_task, &at, (size_t)step->tiles * step->groups);
}

static void run_steps(const struct run *run, size_t from, size_t to)
{
    for (size_t s = from; s < to; s++) {
        run_step(run, &run->plan->steps[s]);
    }
}

static void image_task(void *ctx, size_t image, unsigned thread)
{
    struct run run = *(const struct run *)ctx;
    run.image = image;
    run.space = thread;
    run.pool = NULL;
    run_steps(&run, 0, run.plan->n_single);
}

void net_plan_run(struct net_plan *plan, const float *input, float *output)
{
    struct run run = {.plan = plan, .input = input, .pool = plan->pool};
    run.output = output;
    if (plan->n_spaces > 1) {
        tl_pool_run(plan->pool, image_task, &run, plan->nb);
    } else {
        for (; run.image < plan->nb; run.image++) {
            run_steps(&run, 0, plan->n_single);
        }
        run.image = 0;
    }
    run_steps(&run, plan->n_single, plan->n_steps);
}
