/* state.c - latency models as bytes.
 *
 * Little-endian: magic and version, stages, resolutions, constant and scales, error, times in order. A
 * reader trusts nothing: what it accepts is a model that could have been saved.
 */
#include "latency/model.h"

#include <math.h>
#include <string.h>

/* "TLLAT1\0\0" read as a little-endian number. */
static const uint64_t MAGIC = 0x00003154414c4c54;

static const double MS_MAX = 1e9; /* eleven days */

static enum tl_rc put_head(const struct lat_model *model, struct tl_buf *buf, struct tl_err *err)
{
    const struct lat_error *error = &model->error;
    enum tl_rc rc;

    if ((rc = tl_buf_put_u64(buf, MAGIC, err)) || (rc = tl_buf_put_u32(buf, model->n_stages, err)) ||
        (rc = tl_buf_put_u32(buf, model->n_resolutions, err))) {
        return rc;
    }
    for (size_t r = 0; !rc && r < model->n_resolutions; r++) {
        rc = tl_buf_put_u32(buf, model->resolutions[r], err);
    }
    if (rc || (rc = tl_buf_put_f64(buf, model->constant_ms, err))) {
        return rc;
    }
    for (size_t p = 0; !rc && p < model->n_stages + 2U; p++) {
        rc = tl_buf_put_f64(buf, model->scale[p], err);
    }
    if (rc || (rc = tl_buf_put_u64(buf, error->n_networks, err)) || (rc = tl_buf_put_f64(buf, error->mape, err)) ||
        (rc = tl_buf_put_f64(buf, error->spearman, err)) || (rc = tl_buf_put_f64(buf, error->half_width, err))) {
        return rc;
    }
    return tl_buf_put_u32(buf, (uint32_t)model->n_times, err);
}

enum tl_rc lat_model_save(const struct lat_model *model, struct tl_buf *buf, struct tl_err *err)
{
    const size_t before = buf->len;
    enum tl_rc rc = put_head(model, buf, err);

    for (size_t i = 0; !rc && i < model->n_times; i++) {
        const struct lat_time *time = &model->times[i];
        const size_t n = strlen(time->key);
        if (!(rc = tl_buf_put_u32(buf, time->resolution, err)) && !(rc = tl_buf_put_u32(buf, (uint32_t)n, err)) &&
            !(rc = tl_buf_add(buf, time->key, n, err))) {
            rc = tl_buf_put_f64(buf, time->ms, err);
        }
    }
    if (rc && buf->data != NULL) {
        buf->len = before;
        buf->data[before] = '\0';
    }
    return rc;
}

static bool within(double value, double min, double max)
{
    return value >= min && value <= max; /* false for NAN */
}

static bool known_or_nan(double value, double min, double max)
{
    return isnan(value) || within(value, min, max);
}

static enum tl_rc read_head(struct tl_cursor *cursor, struct lat_model *head, struct tl_err *err)
{
    const uint64_t magic = tl_cursor_u64(cursor);
    const uint32_t n_stages = tl_cursor_u32(cursor), n_resolutions = tl_cursor_u32(cursor);

    if (cursor->failed || magic != MAGIC) {
        return tl_fail(err, TL_MALFORMED, "these bytes are no latency model of this version");
    }
    if (n_stages > NET_STAGES_MAX || n_resolutions < 1 || n_resolutions > LAT_RESOLUTIONS_MAX) {
        return tl_fail(err, TL_MALFORMED, "a latency model of %u stages and %u resolutions", n_stages, n_resolutions);
    }
    head->n_stages = (uint16_t)n_stages;
    head->n_resolutions = (uint16_t)n_resolutions;
    uint32_t last = 0;
    for (size_t r = 0; r < n_resolutions; r++) {
        const uint32_t resolution = tl_cursor_u32(cursor);
        if (resolution <= last || resolution > NET_SIDE_MAX) {
            return tl_fail(err, TL_MALFORMED, "resolution %u of a latency model after %u", resolution, last);
        }
        head->resolutions[r] = (uint16_t)resolution;
        last = resolution;
    }
    head->constant_ms = tl_cursor_f64(cursor);
    bool good = within(head->constant_ms, -MS_MAX, MS_MAX);
    for (size_t p = 0; p < n_stages + 2; p++) {
        head->scale[p] = tl_cursor_f64(cursor);
        good = good && within(head->scale[p], -1e6, 1e6);
    }
    return good ? TL_OK : tl_fail(err, TL_MALFORMED, "a latency model whose correction is not finite");
}

static enum tl_rc read_error(struct tl_cursor *cursor, struct lat_error *error, struct tl_err *err)
{
    error->n_networks = (size_t)tl_cursor_u64(cursor);
    error->mape = tl_cursor_f64(cursor);
    error->spearman = tl_cursor_f64(cursor);
    error->half_width = tl_cursor_f64(cursor);
    if (error->n_networks > UINT32_MAX || !known_or_nan(error->mape, 0, 1e9) || !known_or_nan(error->spearman, -1, 1) ||
        !known_or_nan(error->half_width, 0, 1e9)) {
        return tl_fail(err, TL_MALFORMED, "a latency model with an impossible error");
    }
    return TL_OK;
}

static bool out_of_order(const struct lat_time *before, const struct lat_time *time)
{
    return before->resolution > time->resolution ||
           (before->resolution == time->resolution && strcmp(before->key, time->key) >= 0);
}

/* Strictly ascending, so that each stands once and a search finds it. */
static enum tl_rc read_times(struct tl_cursor *cursor, struct lat_model *model, struct tl_err *err)
{
    for (size_t i = 0; i < model->n_times; i++) {
        struct lat_time *time = &model->times[i];
        const uint32_t resolution = tl_cursor_u32(cursor), n = tl_cursor_u32(cursor);
        const void *key = n >= 1 && n < NET_KEY_MAX ? tl_cursor_bytes(cursor, n) : NULL;
        if (key == NULL || resolution > NET_SIDE_MAX) {
            return tl_fail(err, TL_MALFORMED, "block %zu of a latency model has no key", i);
        }
        time->resolution = (uint16_t)resolution;
        memcpy(time->key, key, n);
        time->ms = tl_cursor_f64(cursor);
        if (strlen(time->key) != n || (i > 0 && out_of_order(time - 1, time)) || !within(time->ms, 0, MS_MAX)) {
            return tl_fail(err, TL_MALFORMED, "block %zu of a latency model is out of order or has no time", i);
        }
    }
    return tl_cursor_ok(cursor) ? TL_OK : tl_fail(err, TL_MALFORMED, "a latency model is cut off or goes on too long");
}

enum tl_rc lat_model_load(const void *bytes, size_t n, struct lat_model **ret_model, struct tl_err *err)
{
    enum { TIME_BYTES_MIN = 4 + 4 + 1 + 8 };
    struct tl_cursor cursor = tl_cursor_make(bytes, n);
    struct lat_model head = {0}, *model = NULL;
    enum tl_rc rc;

    if ((rc = read_head(&cursor, &head, err)) || (rc = read_error(&cursor, &head.error, err))) {
        return rc;
    }
    const uint32_t n_times = tl_cursor_u32(&cursor);
    if (cursor.failed || n_times > LAT_BLOCKS_MAX || n_times > cursor.left / TIME_BYTES_MIN) {
        return tl_fail(err, TL_MALFORMED, "a latency model of %u blocks in %zu bytes", n_times, n);
    }
    if ((rc = lat_model_new(head.n_stages, n_times, &model, err))) {
        return rc;
    }
    head.times = model->times;
    head.n_times = n_times;
    head.error.n_blocks = n_times;
    *model = head;
    if ((rc = read_times(&cursor, model, err))) {
        lat_model_free(model);
        return rc;
    }
    *ret_model = model;
    return TL_OK;
}
