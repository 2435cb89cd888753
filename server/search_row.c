#include "server/search_row.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const size_t progress_max_bytes = 512 * 1024;
static const size_t checkpoint_max_bytes = 64 * 1024 * 1024;

void search_row_done(struct search_row *row)
{
    tl_buf_done(&row->checkpoint);
}

static void copy(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from);
}

enum tl_rc search_row_copy(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct search_row *row = ctx;
    enum tl_rc rc;

    tl_buf_clear(&row->checkpoint);
    row->checkpoint.max = checkpoint_max_bytes;
    copy(row->id, sizeof(row->id), search->id);
    copy(row->space, sizeof(row->space), search->space);
    copy(row->state, sizeof(row->state), search->state);
    copy(row->outcome, sizeof(row->outcome), search->outcome);
    copy(row->snapshot, sizeof(row->snapshot), search->snapshot);
    row->created_ns = search->created_ns;
    row->updated_ns = search->updated_ns;
    row->finished_ns = search->finished_ns;
    row->evaluations = search->evaluations;
    row->revision = search->revision;
    if ((rc = search_request_decode(search->spec.data, search->spec.n, &row->request, err)) ||
        (rc = search_progress_decode(search->progress, &row->progress, err))) {
        return rc;
    }
    devices_join(&row->request.devices, ",", row->device, sizeof(row->device));
    return tl_buf_add(&row->checkpoint, search->checkpoint.data, search->checkpoint.n, err);
}

struct get_ctx {
    const char *id;
    struct search_row *row;
};

static enum tl_rc get(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct get_ctx *g = ctx;

    return store_search_get(tx, g->id, search_row_copy, g->row, err);
}

enum tl_rc search_row_get(struct store *store, const char *id, struct search_row *ret_row, struct tl_err *err)
{
    return store_read(store, get, &(struct get_ctx){id, ret_row}, err);
}

enum tl_rc search_row_save(struct store_tx *tx, struct search_row *row, const struct tl_buf *checkpoint,
                           const struct tl_buf *result, const char *event, struct tl_err *err)
{
    TL_AUTO(tl_buf) progress = {.max = progress_max_bytes};
    enum tl_rc rc = search_progress_encode(&row->progress, &progress, err);

    if (rc) {
        return rc;
    }
    row->updated_ns = tl_clock_wall_ns();
    struct store_search search = {.id = row->id,
                                  .state = row->state,
                                  .outcome = row->outcome,
                                  .snapshot = row->snapshot,
                                  .updated_ns = row->updated_ns,
                                  .finished_ns = row->finished_ns,
                                  .evaluations = row->evaluations,
                                  .revision = row->revision,
                                  .progress = {progress.data, progress.len}};
    if (checkpoint) {
        search.checkpoint = (struct store_bytes){checkpoint->data ? checkpoint->data : "", checkpoint->len};
    }
    if (result) {
        search.result = (struct store_bytes){result->data ? result->data : "", result->len};
    }
    if ((rc = store_search_update(tx, &search, err)) ||
        (rc = store_event_add(
             tx, row->id,
             &(struct store_event){.time_ns = row->updated_ns, .kind = event, .data = {progress.data, progress.len}},
             err))) {
        return rc;
    }
    row->revision++;
    return TL_OK;
}

struct save_ctx {
    struct search_row *row;
    const char *event;
};

static enum tl_rc save(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct save_ctx *s = ctx;

    return search_row_save(tx, s->row, NULL, NULL, s->event, err);
}

enum tl_rc search_row_store(struct store *store, struct search_row *row, const char *event, struct tl_err *err)
{
    int64_t revision = row->revision;
    enum tl_rc rc = store_write(store, save, &(struct save_ctx){row, event}, err);

    if (rc) {
        row->revision = revision;
    }
    return rc;
}

void search_row_state(struct search_row *row, const char *state, const char *format, ...)
{
    va_list args;

    copy(row->state, sizeof(row->state), state);
    va_start(args, format);
    vsnprintf(row->progress.message, sizeof(row->progress.message), format, args);
    va_end(args);
}

void search_row_finish(struct search_row *row, const char *state, const char *outcome)
{
    copy(row->state, sizeof(row->state), state);
    copy(row->outcome, sizeof(row->outcome), outcome);
    row->finished_ns = tl_clock_wall_ns();
    row->progress.eta_s = NAN;
}

double search_request_limit_ms(const struct search_request *request, size_t device)
{
    double limit = HUGE_VAL;

    for (size_t i = 0; i < request->n_limits; i++) {
        const struct request_limit *at = &request->limits[i];
        if (at->metric == METRIC_LATENCY_MS && at->device == device && !at->is_min) {
            limit = fmin(limit, at->bound);
        }
    }
    return limit;
}
