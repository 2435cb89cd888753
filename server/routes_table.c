/* routes_table.c - PUT /spaces/{name}/table: a CSV that was uploaded as an artifact becomes the table of a space.
 *
 * What is kept is the program's own form, a blob; the newest is the current one, and a search pins the one it began with.
 */
#include "server/codec_model.h"
#include "server/codec_table.h"
#include "server/routes.h"
#include "server/spaces.h"

#include <stdlib.h>
#include <string.h>

/* A table on its way into the store. */
struct arrival {
    const struct space_entry *entry;
    struct table_request *request; /* owned */
    struct value_table *table;     /* owned */
    struct tl_buf csv, bytes, info;
    char hash[TL_HASH_TEXT];
    bool is_new;
    struct tl_buf *answer;
};

static void arrival_done(struct arrival *arrival)
{
    free(arrival->request);
    value_table_free(arrival->table);
    tl_buf_done(&arrival->csv);
    tl_buf_done(&arrival->bytes);
    tl_buf_done(&arrival->info);
}

/* What is wrong with the file is wrong with the field that names it. */
static enum tl_rc file_fault(enum tl_rc rc, const struct tl_err *why, struct tl_err *err)
{
    const bool is_file = rc == TL_MALFORMED || rc == TL_INVALID || rc == TL_TOO_LARGE;
    return tl_fail_at(err, rc == TL_MALFORMED ? TL_INVALID : rc, is_file ? "/artifact" : "", "%s", why->text);
}

static enum tl_rc read_csv(struct service *service, struct arrival *arrival, struct tl_err *err)
{
    const struct table_request *request = arrival->request;
    struct tl_err why = {0};
    char name[TL_HASH_TEXT];
    enum tl_rc rc = store_blob_get(service->store, &request->artifact, &arrival->csv, &why);
    if (rc == TL_NOT_FOUND) {
        tl_hash_format(&request->artifact, name);
        return tl_fail_at(err, TL_INVALID, "/artifact", "there is no artifact %s; PUT /artifacts/%s uploads it", name,
                          name);
    }
    rc = rc ? rc
            : value_table_read_csv(arrival->csv.data ? arrival->csv.data : "", arrival->csv.len, &arrival->entry->space,
                                   &request->manifest, &arrival->table, &why);
    return rc ? file_fault(rc, &why, err) : TL_OK;
}

/* Decode, read the CSV, and make the bytes and the info of it. */
static enum tl_rc arrive(struct service *service, const struct http_request *request, struct arrival *arrival,
                         struct tl_err *err)
{
    enum tl_rc rc = routes_space_named(service, request->params[0], &arrival->entry, err);
    if (rc) {
        return rc;
    }
    if (arrival->entry->family) {
        return tl_fail(err, TL_INVALID,
                       "networks of %s can be built, so its values are computed and predicted; a table is for spaces "
                       "that were brought",
                       request->params[0]);
    }
    if (!(arrival->request = calloc(1, sizeof *arrival->request))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a table");
    }
    (void)((rc = table_request_decode(request->body, request->body_n, &arrival->entry->space, arrival->request, err)) ||
           (rc = read_csv(service, arrival, err)) || (rc = value_table_save(arrival->table, &arrival->bytes, err)) ||
           (rc = table_info_encode(arrival->request, arrival->table, &arrival->info, err)));
    return rc;
}

/* Is the current table this one, told alike? */
static enum tl_rc compare(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct arrival *arrival = ctx;
    arrival->is_new = strcmp(model->hash, arrival->hash) != 0 || model->info.n != arrival->info.len ||
                      memcmp(model->info.data, arrival->info.data, model->info.n) != 0;
    return arrival->is_new ? TL_OK : model_item_encode(model, arrival->answer, err);
}

static enum tl_rc publish(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct arrival *arrival = ctx;
    const char *space = arrival->entry->space.name;
    struct tl_err why = {0};
    tl_buf_clear(arrival->answer);
    enum tl_rc rc = store_model_current(tx, "table", space, "", compare, arrival, &why);
    if (rc != TL_OK && rc != TL_NOT_FOUND) {
        return tl_fail(err, rc, "%s", why.text);
    }
    arrival->is_new = arrival->is_new || rc == TL_NOT_FOUND;
    if (!arrival->is_new) {
        return TL_OK;
    }
    const struct store_model row = {.kind = "table",
                                    .space = space,
                                    .device = "",
                                    .hash = arrival->hash,
                                    .created_ns = tl_clock_wall_ns(),
                                    .info = {arrival->info.data, arrival->info.len}};
    rc = store_model_put(tx, &row, err);
    return rc ? rc : model_item_encode(&row, arrival->answer, err);
}

enum tl_rc route_table_put(struct service *service, const struct http_request *request, struct http_response *response,
                           struct tl_err *err)
{
    TL_AUTO(arrival)
    arrival = {.answer = &response->body, .csv = {.max = STORE_BLOB_MAX}, .bytes = {.max = STORE_BLOB_MAX}};
    struct tl_hash hash;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) || (rc = arrive(service, request, &arrival, err)) ||
        (rc = store_blob_put(service->store, arrival.bytes.data, arrival.bytes.len, &hash, err))) {
        return rc;
    }
    tl_hash_format(&hash, arrival.hash);
    if ((rc = store_write(service->store, publish, &arrival, err))) {
        return rc;
    }
    response->status = arrival.is_new ? 201 : 200;
    return TL_OK;
}
