/* model.c - a latency model in use: look a block up, scale it by its part, add up.
 *
 * Threads: models are immutable once made; every function here only reads.
 */
#include "latency/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tl_rc lat_model_new(size_t n_stages, size_t n_times, struct lat_model **ret_model, struct tl_err *err)
{
    struct lat_model *model = calloc(1, sizeof *model);
    struct lat_time *times = calloc(n_times + 1, sizeof *times);

    if (model == NULL || times == NULL) {
        free(model);
        free(times);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a latency model of %zu blocks", n_times);
    }
    model->n_stages = (uint16_t)n_stages;
    model->times = times;
    model->n_times = n_times;
    model->error = (struct lat_error){.n_blocks = n_times, .mape = NAN, .spearman = NAN, .half_width = NAN};
    for (size_t p = 0; p < LAT_PARTS_MAX; p++) {
        model->scale[p] = 1;
    }
    *ret_model = model;
    return TL_OK;
}

void lat_model_free(struct lat_model *model)
{
    if (model == NULL) {
        return;
    }
    free(model->times);
    free(model);
}

static int compare_names(const struct lat_time *a, const struct lat_time *b)
{
    return a->resolution != b->resolution ? (a->resolution > b->resolution) - (a->resolution < b->resolution)
                                          : strcmp(a->key, b->key);
}

int lat_time_compare(const void *a, const void *b)
{
    const struct lat_time *x = a, *y = b;
    const int order = compare_names(x, y);
    return order != 0 ? order : (x->ms > y->ms) - (x->ms < y->ms);
}

static int compare_wanted(const void *wanted, const void *time)
{
    return compare_names(wanted, time);
}

const struct lat_time *lat_time_find(const struct lat_model *model, unsigned resolution, const char *key)
{
    struct lat_time wanted = {.resolution = (uint16_t)resolution};

    (void)snprintf(wanted.key, sizeof wanted.key, "%s", key);
    const struct lat_time *found = bsearch(&wanted, model->times, model->n_times, sizeof *model->times, compare_wanted);
    if (found == NULL) {
        wanted.resolution = 0;
        found = bsearch(&wanted, model->times, model->n_times, sizeof *model->times, compare_wanted);
    }
    return found;
}

enum tl_rc lat_resolution_add(struct lat_model *model, unsigned resolution, struct tl_err *err)
{
    size_t at = 0;

    while (at < model->n_resolutions && model->resolutions[at] < resolution) {
        at++;
    }
    if (at < model->n_resolutions && model->resolutions[at] == resolution) {
        return TL_OK;
    }
    if (model->n_resolutions == LAT_RESOLUTIONS_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "a latency model covers at most %d resolutions", LAT_RESOLUTIONS_MAX);
    }
    memmove(&model->resolutions[at + 1], &model->resolutions[at],
            (model->n_resolutions - at) * sizeof *model->resolutions);
    model->resolutions[at] = (uint16_t)resolution;
    model->n_resolutions++;
    return TL_OK;
}

enum tl_rc lat_part_of(const struct lat_model *model, const struct net_block *block, size_t *ret_part,
                       struct tl_err *err)
{
    if (block->stage < -1 || block->stage > model->n_stages) {
        return tl_fail(err, TL_INVALID, "the latency model is of a family with %u stages; the network has a stage %d",
                       model->n_stages, block->stage);
    }
    *ret_part = (size_t)(block->stage + 1);
    return TL_OK;
}

const struct lat_error *lat_model_error(const struct lat_model *model)
{
    return &model->error;
}

size_t lat_model_resolutions(const struct lat_model *model, const uint16_t **ret_resolutions)
{
    *ret_resolutions = model->resolutions;
    return model->n_resolutions;
}

double lat_model_constant_ms(const struct lat_model *model)
{
    return model->constant_ms;
}

enum tl_rc lat_model_block_ms(const struct lat_model *model, const struct network *net, size_t block, double *ret_ms,
                              struct tl_err *err)
{
    char key[NET_KEY_MAX];
    size_t part = 0;
    const enum tl_rc rc = lat_part_of(model, &net->blocks[block], &part, err);

    if (rc) {
        return rc;
    }
    net_block_key(net, block, key);
    const struct lat_time *time = lat_time_find(model, net->resolution, key);
    if (time == NULL) {
        return tl_fail(err, TL_NOT_FOUND, "the latency model has no block %s at resolution %u", key, net->resolution);
    }
    *ret_ms = model->scale[part] * time->ms;
    return TL_OK;
}

enum tl_rc lat_model_network_ms(const struct lat_model *model, const struct network *net, double *ret_ms,
                                struct tl_err *err)
{
    double sum_ms = model->constant_ms;

    for (size_t b = 0; b < net->n_blocks; b++) {
        double ms = 0;
        const enum tl_rc rc = lat_model_block_ms(model, net, b, &ms, err);
        if (rc) {
            return rc;
        }
        sum_ms += ms;
    }
    *ret_ms = sum_ms;
    return TL_OK;
}
