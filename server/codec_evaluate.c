/* codec_evaluate.c - see codec_evaluate.h. */
#include "server/codec_evaluate.h"

#include "base/codec_json.h"
#include "server/codec_search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double ACCURACY_MAX = 100.0, VALUE_MAX = 1e18;

/* ---- what is asked ------------------------------------------------------------------------------------------- */

static enum tl_rc add_metrics(uint32_t metrics, struct tl_buf *buf, struct tl_err *err)
{
    const char *joint = "";
    enum tl_rc rc = TL_OK;
    for (size_t m = 0; !rc && m < METRIC_COUNT; m++) {
        if (metrics >> m & 1U) {
            rc = tl_buf_addf(buf, err, "%s\"%s\"", joint, metric_names[m]);
            joint = ",";
        }
    }
    return rc;
}

/* Names of spaces and metrics need no escapes. */
enum tl_rc evaluate_work_encode(const struct net_family *family, const struct space *space, uint32_t metrics,
                                const uint8_t *archs, size_t n, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_addf(buf, err, "{\"kind\":\"evaluate\",\"space\":\"%s\",\"metrics\":[", space->name);
    rc = rc ? rc : add_metrics(metrics, buf, err);
    rc = rc ? rc : tl_buf_addf(buf, err, "],\"architectures\":[");
    for (size_t i = 0; !rc && i < n; i++) {
        rc = i > 0 ? tl_buf_add(buf, ",", 1, err) : TL_OK;
        rc = rc ? rc : architecture_encode(family, space, archs + i * space->n_variables, buf, err);
    }
    return rc ? rc : tl_buf_add(buf, "]}", 2, err);
}

enum tl_rc evaluate_lease_encode(const struct store_job *job, int lease_s, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_addf(buf, err, "{\"id\":\"%s\",\"attempt\":%lld,\"lease_s\":%d,", job->id,
                                (long long)job->attempt, lease_s);
    return rc ? rc : tl_buf_add(buf, (const char *)job->work.data + 1, job->work.n - 1, err); /* behind its brace */
}

static size_t metric_named(const char *name)
{
    size_t m = 0;
    while (m < METRIC_COUNT && !(name && strcmp(metric_names[m], name) == 0)) {
        m++;
    }
    return m;
}

enum tl_rc evaluate_asked_decode(struct store_bytes work, struct evaluate_asked *ret_asked, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, work.data, work.n, err);
    if (rc) {
        return rc;
    }
    const json_t *archs = json_object_get(doc.root, "architectures"), *metrics = json_object_get(doc.root, "metrics");
    struct evaluate_asked asked = {.n = json_array_size(archs)};
    bool good = asked.n >= 1 && asked.n <= EVALUATE_ARCHS_MAX;
    for (size_t i = 0; good && i < asked.n; i++) {
        const char *id = json_string_value(json_object_get(json_array_get(archs, i), "id"));
        struct tl_hash hash;
        good = id && tl_hash_parse(id, &hash);
        (void)snprintf(asked.archs[i], TL_HASH_TEXT, "%s", good ? id : "");
    }
    for (size_t i = 0; good && i < json_array_size(metrics); i++) {
        const size_t m = metric_named(json_string_value(json_array_get(metrics, i)));
        good = m < METRIC_COUNT;
        asked.metrics |= good ? 1U << m : 0;
    }
    if (!good || asked.metrics == 0) {
        return tl_fail(err, TL_IO, "an evaluate job is damaged in the store");
    }
    *ret_asked = asked;
    return TL_OK;
}

/* ---- what is answered ---------------------------------------------------------------------------------------- */

/* A metric's value, null or a number; absent: not given. */
static enum tl_rc read_value(struct tl_json_object *object, size_t m, struct evaluate_row *row, struct tl_err *err)
{
    const json_t *value = json_object_get(object->json, metric_names[m]);
    row->values[m] = (double)NAN;
    row->given |= value ? 1U << m : 0;
    if (json_is_null(value)) {
        json_object_del(object->json, metric_names[m]);
    }
    return tl_json_real(object, metric_names[m], TL_OPTIONAL, 0.0, m == METRIC_ACCURACY ? ACCURACY_MAX : VALUE_MAX,
                        &row->values[m], err);
}

static enum tl_rc read_row(struct tl_json_object *object, struct evaluate_answer *answer, struct tl_err *err)
{
    struct evaluate_row *row = &answer->rows[answer->n];
    struct tl_hash id;
    enum tl_rc rc = tl_json_hash(object, "id", TL_REQUIRED, &id, err);
    *row = (struct evaluate_row){0};
    for (size_t m = 0; !rc && m < METRIC_COUNT; m++) {
        rc = read_value(object, m, row, err);
    }
    rc = rc ? rc : tl_json_object_close(object, err);
    if (rc) {
        return rc;
    }
    tl_hash_format(&id, row->arch);
    for (size_t i = 0; i < answer->n; i++) {
        if (strcmp(answer->rows[i].arch, row->arch) == 0) {
            char pointer[64];
            (void)snprintf(pointer, sizeof pointer, "/values/%zu/id", answer->n);
            return tl_fail_at(err, TL_INVALID, pointer, "is answered at /values/%zu already", i);
        }
    }
    answer->n++;
    return TL_OK;
}

static enum tl_rc read_rows(struct tl_json_object *top, struct evaluate_answer *answer, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "values", TL_OPTIONAL, 0, EVALUATE_ARCHS_MAX, &list, err);
    answer->there = list != NULL;
    answer->n = 0;
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        struct tl_json_object element;
        rc = tl_json_element(top, "values", list, i, &element, err);
        rc = rc ? rc : read_row(&element, answer, err);
    }
    return rc;
}

enum tl_rc complete_call_decode(const char *json, size_t n, struct agent_call *ret_call,
                                struct evaluate_answer *ret_answer, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct agent_call call = {0};
    struct tl_json_object top;
    struct tl_hash key;
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_int(&top, "attempt", TL_REQUIRED, 1, INT32_MAX, &call.attempt, err)) ||
        (rc = tl_json_hash(&top, "agent_key", TL_REQUIRED, &key, err)) || (rc = read_rows(&top, ret_answer, err)) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    tl_hash_format(&key, call.agent_key);
    *ret_call = call;
    return TL_OK;
}

static enum tl_rc check_row(const struct evaluate_row *row, size_t i, const struct evaluate_asked *asked,
                            struct tl_err *err)
{
    char pointer[64];
    size_t at = 0;
    while (at < asked->n && strcmp(asked->archs[at], row->arch) != 0) {
        at++;
    }
    if (at == asked->n) {
        (void)snprintf(pointer, sizeof pointer, "/values/%zu/id", i);
        return tl_fail_at(err, TL_INVALID, pointer, "this job does not ask for architecture %s", row->arch);
    }
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        const bool wanted = asked->metrics >> m & 1U, given = row->given >> m & 1U;
        (void)snprintf(pointer, sizeof pointer, "/values/%zu/%s", i, metric_names[m]);
        if (wanted && !given) {
            return tl_fail_at(err, TL_INVALID, pointer,
                              "is missing; give a number, or null where the architecture cannot be valued");
        }
        if (given && !wanted) {
            return tl_fail_at(err, TL_INVALID, pointer, "this job does not ask for %s; leave it out", metric_names[m]);
        }
    }
    return TL_OK;
}

enum tl_rc evaluate_answer_check(const struct evaluate_answer *answer, const struct evaluate_asked *asked,
                                 struct tl_err *err)
{
    if (!answer->there) {
        return tl_fail_at(err, TL_INVALID, "/values",
                          "is missing: an evaluate job is completed with an entry for each of its architectures");
    }
    for (size_t i = 0; i < answer->n; i++) {
        enum tl_rc rc = check_row(&answer->rows[i], i, asked, err);
        if (rc) {
            return rc;
        }
    }
    return answer->n == asked->n /* each was asked for, and none is there twice */
               ? TL_OK
               : tl_fail_at(err, TL_INVALID, "/values", "answers %zu of %zu architectures; each needs an entry",
                            answer->n, asked->n);
}
