/* optimizer.c - see optimizer.h. A task is one tensor, so that sums and norms do not depend on the threads. */
#include "supernet/train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_tensor(struct optimizer *optimizer, size_t at, size_t n, bool decays)
{
    if (at != SUPERNET_NONE && n > 0) {
        optimizer->tensors[optimizer->n_tensors++] = (struct optimizer_tensor){.at = at, .n = n, .decays = decays};
    }
}

static void list_tensors(struct optimizer *optimizer, const struct supernet *net)
{
    for (size_t i = 0; i < net->largest.n_ops; i++) {
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            const struct supernet_layer *layer = &net->layers[i][l];
            add_tensor(optimizer, layer->w, layer->co * layer->inputs, true);
            add_tensor(optimizer, layer->bias, layer->co, false);
            add_tensor(optimizer, layer->gamma, layer->co, false);
            add_tensor(optimizer, layer->beta, layer->co, false);
            for (size_t t = 0; t + 1 < net->family.n_kernels && layer->co > 0; t++) {
                const size_t taps = (size_t)net->family.kernels[t] * net->family.kernels[t];
                add_tensor(optimizer, layer->transform[t], taps * taps, false);
            }
        }
    }
}

enum tl_rc optimizer_init(struct optimizer *optimizer, const struct supernet *net, const struct train_optimizer *rule,
                          struct tl_pool *pool, struct tl_err *err)
{
    const size_t most = net->largest.n_ops * NET_LAYERS_MAX * (4 + SUPERNET_KERNELS_MAX), n = net->n_params;
    *optimizer = (struct optimizer){.rule = *rule, .params = net->params, .n_params = n, .pool = pool};
    optimizer->grads = calloc(n, sizeof(float));
    optimizer->first = calloc(n, sizeof(float));
    optimizer->second = rule->kind == TRAIN_SGD ? NULL : calloc(n, sizeof(float));
    optimizer->tensors = calloc(most, sizeof *optimizer->tensors);
    optimizer->norms = calloc(most, sizeof(double));
    if (optimizer->grads == NULL || optimizer->first == NULL || optimizer->tensors == NULL ||
        optimizer->norms == NULL || (rule->kind != TRAIN_SGD && optimizer->second == NULL)) {
        optimizer_done(optimizer);
        return tl_fail(err, TL_NO_MEMORY, "no memory for the optimizer of %zu parameters", n);
    }
    list_tensors(optimizer, net);
    return TL_OK;
}

void optimizer_done(struct optimizer *optimizer)
{
    free(optimizer->grads);
    free(optimizer->first);
    free(optimizer->second);
    free(optimizer->tensors);
    free(optimizer->norms);
    *optimizer = (struct optimizer){0};
}

void optimizer_clear(struct optimizer *optimizer)
{
    memset(optimizer->grads, 0, optimizer->n_params * sizeof(float));
}

static double squares(const float *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}

static void norm_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    struct optimizer *optimizer = ctx;
    optimizer->norms[task] = squares(optimizer->grads + optimizer->tensors[task].at, optimizer->tensors[task].n);
}

double optimizer_norm(struct optimizer *optimizer)
{
    double sum = 0.0;
    tl_pool_run(optimizer->pool, norm_task, optimizer, optimizer->n_tensors);
    for (size_t t = 0; t < optimizer->n_tensors; t++) {
        sum += optimizer->norms[t];
    }
    return sqrt(sum);
}

struct step_job {
    struct optimizer *optimizer;
    float lr, scale, correct_first, correct_second;
};

static void sgd(const struct step_job *job, const struct optimizer_tensor *tensor)
{
    const struct train_optimizer *rule = &job->optimizer->rule;
    const float momentum = (float)rule->momentum, decay = tensor->decays ? (float)rule->weight_decay : 0.0F;
    float *restrict w = job->optimizer->params + tensor->at, *restrict v = job->optimizer->first + tensor->at;
    const float *restrict g = job->optimizer->grads + tensor->at;
    for (size_t i = 0; i < tensor->n; i++) {
        const float d = g[i] * job->scale + decay * w[i];
        v[i] = momentum * v[i] + d;
        w[i] -= job->lr * (d + momentum * v[i]);
    }
}

/* The corrected direction of Adam for one weight. */
static float adam_direction(const struct step_job *job, size_t i)
{
    const struct train_optimizer *rule = &job->optimizer->rule;
    const float b1 = (float)rule->momentum, b2 = (float)rule->second, g = job->optimizer->grads[i] * job->scale;
    float *m = job->optimizer->first + i, *v = job->optimizer->second + i;
    *m = b1 * *m + (1.0F - b1) * g;
    *v = b2 * *v + (1.0F - b2) * g * g;
    return *m * job->correct_first / (sqrtf(*v * job->correct_second) + (float)rule->epsilon);
}

static void adam(const struct step_job *job, const struct optimizer_tensor *tensor)
{
    float *w = job->optimizer->params;
    const float decay = tensor->decays ? (float)job->optimizer->rule.weight_decay : 0.0F;
    for (size_t i = tensor->at; i < tensor->at + tensor->n; i++) {
        w[i] -= job->lr * (adam_direction(job, i) + decay * w[i]);
    }
}

/* The update is kept in the gradient, which is not needed after it. */
static void lamb(const struct step_job *job, const struct optimizer_tensor *tensor)
{
    float *w = job->optimizer->params, *update = job->optimizer->grads;
    const float decay = tensor->decays ? (float)job->optimizer->rule.weight_decay : 0.0F;
    for (size_t i = tensor->at; i < tensor->at + tensor->n; i++) {
        update[i] = adam_direction(job, i) + decay * w[i];
    }
    const double of_w = sqrt(squares(w + tensor->at, tensor->n)), of_u = sqrt(squares(update + tensor->at, tensor->n));
    const float trust = tensor->decays && of_w > 0.0 && of_u > 0.0 ? (float)(of_w / of_u) : 1.0F;
    for (size_t i = tensor->at; i < tensor->at + tensor->n; i++) {
        w[i] -= job->lr * trust * update[i];
    }
}

static void step_task(void *ctx, size_t task, unsigned thread)
{
    static void (*const rules[TRAIN_OPTIMIZER_COUNT])(const struct step_job *, const struct optimizer_tensor *) = {
        [TRAIN_SGD] = sgd, [TRAIN_ADAMW] = adam, [TRAIN_LAMB] = lamb};
    (void)thread;
    const struct step_job *job = ctx;
    rules[job->optimizer->rule.kind](job, &job->optimizer->tensors[task]);
}

void optimizer_step(struct optimizer *optimizer, double lr, double scale, uint64_t step)
{
    const struct train_optimizer *rule = &optimizer->rule;
    struct step_job job = {
        .optimizer = optimizer,
        .lr = (float)lr,
        .scale = (float)scale,
        .correct_first = (float)(1.0 / (1.0 - pow(rule->momentum, (double)step))),
        .correct_second = (float)(1.0 / (1.0 - pow(rule->second, (double)step))),
    };
    tl_pool_run(optimizer->pool, step_task, &job, optimizer->n_tensors);
}
