/* codec_measurement.c - see codec_measurement.h. */
#include "latency/codec_measurement.h"

#include "latency/codec_job.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const KINDS[] = {"network", "block"};
static const char *const SAMPLES[] = {"runs", "means"};

void lat_measurement_done(struct lat_measurement *measurement)
{
    free(measurement->memory);
    measurement->memory = NULL;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static json_t *encode_blocks(const uint16_t *block_n, const int64_t *ns, size_t blocks)
{
    json_t *array = json_array();

    for (size_t b = 0; array != NULL && b < blocks; b++) {
        json_t *block = json_array();
        int failed = json_array_append_new(array, block);
        for (size_t i = 0; !failed && i < block_n[b]; i++) {
            failed = json_array_append_new(block, json_integer(ns[i]));
        }
        if (failed) {
            json_decref(array);
            return NULL;
        }
        ns += block_n[b];
    }
    return array;
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *encode_context(const struct lat_measurement *measurement)
{
    const struct lat_context *context = &measurement->context;

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s, s:s, s:o, s:o}", "others_cpu",
        tl_json_number(measurement->visit.others_cpu), "steal", tl_json_number(measurement->visit.steal), "governor",
        text_or_null(context->governor), "khz_before", tl_json_number(measurement->visit.khz_before), "khz_after",
        tl_json_number(measurement->visit.khz_after), "temp_c_before", tl_json_number(context->temp_c_before),
        "temp_c_after", tl_json_number(context->temp_c_after), "load1", tl_json_number(context->load1), "threads",
        (int)context->threads, "isa", context->isa, "agent", context->agent, "runtime", text_or_null(context->runtime),
        "model", text_or_null(context->model));
}

enum tl_rc lat_measurement_encode(const struct lat_measurement *measurement, struct tl_buf *buf, struct tl_err *err)
{
    const struct lat_visit *visit = &measurement->visit;

    return tl_json_dump_take(
        json_pack("{s:s, s:s, s:s, s:I, s:i, s:s, s:s, s:s, s:o, s:o, s:s, s:f, s:o}", "device", measurement->device,
                  "agent_key", measurement->agent_key, "job", measurement->job, "attempt",
                  (json_int_t)measurement->attempt, "item", (int)measurement->item, "subject", measurement->subject,
                  "kind", KINDS[measurement->is_block], "samples", SAMPLES[visit->means], "item_ns",
                  encode_blocks(visit->item_n, visit->item_ns, visit->rounds), "anchor_ns",
                  encode_blocks(visit->anchor_n, visit->anchor_ns, visit->rounds + 1), "started", measurement->started,
                  "duration_s", measurement->duration_s, "context", encode_context(measurement)),
        buf, err);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static enum tl_rc fail_field(const struct tl_json_object *object, const char *name, const char *wanted,
                             struct tl_err *err)
{
    char pointer[sizeof object->pointer + 32];

    (void)snprintf(pointer, sizeof pointer, "%s/%.24s", object->pointer, name);
    return tl_fail_at(err, TL_INVALID, pointer, "must be %s", wanted);
}

/* YYYY-MM-DDTHH:MM:SS, a fraction or none, Z. */
static bool is_utc_time(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    size_t i = 0;

    for (; shape[i] != '\0'; i++) {
        if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i]) {
            return false;
        }
    }
    if (text[i] == '.') {
        const size_t digits = strspn(&text[i + 1], "0123456789");
        i = digits == 0 ? i : i + 1 + digits;
    }
    return strcmp(&text[i], "Z") == 0;
}

/* A number in [min, max] that may be null or absent: then NAN. */
static enum tl_rc read_maybe(struct tl_json_object *object, const char *name, double min, double max, double *ret_value,
                             struct tl_err *err)
{
    *ret_value = NAN;
    if (json_is_null(json_object_get(object->json, name))) {
        assert(object->n_known < TL_JSON_FIELDS);
        object->known[object->n_known++] = name;
        return TL_OK;
    }
    return tl_json_real(object, name, TL_OPTIONAL, min, max, ret_value, err);
}

static enum tl_rc read_text(struct tl_json_object *object, const char *name, char *ret_text, size_t size,
                            struct tl_err *err)
{
    const char *text = "";
    enum tl_rc rc = TL_OK;

    if (json_is_null(json_object_get(object->json, name))) {
        assert(object->n_known < TL_JSON_FIELDS);
        object->known[object->n_known++] = name;
    } else {
        rc = tl_json_string(object, name, TL_OPTIONAL, size - 1, &text, err);
    }
    if (!rc) {
        (void)snprintf(ret_text, size, "%s", text);
    }
    return rc;
}

static enum tl_rc read_context(struct tl_json_object *top, struct lat_measurement *measurement, struct tl_err *err)
{
    struct lat_context *context = &measurement->context;
    struct tl_json_object object;
    int64_t threads = 0;
    enum tl_rc rc;

    if ((rc = tl_json_nested(top, "context", TL_REQUIRED, &object, NULL, err)) ||
        (rc = read_maybe(&object, "others_cpu", 0, 1e6, &measurement->visit.others_cpu, err)) ||
        (rc = read_maybe(&object, "steal", 0, 1, &measurement->visit.steal, err)) ||
        (rc = read_text(&object, "governor", context->governor, sizeof context->governor, err)) ||
        (rc = read_maybe(&object, "khz_before", 0, 1e9, &measurement->visit.khz_before, err)) ||
        (rc = read_maybe(&object, "khz_after", 0, 1e9, &measurement->visit.khz_after, err)) ||
        (rc = read_maybe(&object, "temp_c_before", -300, 1000, &context->temp_c_before, err)) ||
        (rc = read_maybe(&object, "temp_c_after", -300, 1000, &context->temp_c_after, err)) ||
        (rc = read_maybe(&object, "load1", 0, 1e6, &context->load1, err)) ||
        (rc = tl_json_int(&object, "threads", TL_REQUIRED, 1, 1024, &threads, err)) ||
        (rc = read_text(&object, "isa", context->isa, sizeof context->isa, err)) ||
        (rc = read_text(&object, "agent", context->agent, sizeof context->agent, err)) ||
        (rc = read_text(&object, "runtime", context->runtime, sizeof context->runtime, err)) ||
        (rc = read_text(&object, "model", context->model, sizeof context->model, err))) {
        return rc;
    }
    context->threads = (unsigned)threads;
    return tl_json_object_close(&object, err);
}

/* Count and check the blocks of an array of arrays; their runs in *ret_runs. */
static enum tl_rc check_blocks(const char *name, const json_t *array, size_t *ret_runs, struct tl_err *err)
{
    char pointer[64];
    size_t runs = 0;

    for (size_t b = 0; b < json_array_size(array); b++) {
        const json_t *block = json_array_get(array, b);
        const size_t n = json_array_size(block); /* 0 for what is no array */
        (void)snprintf(pointer, sizeof pointer, "/%s/%zu", name, b);
        if (n < 1 || n > LAT_RUNS_MAX) {
            return tl_fail_at(err, TL_INVALID, pointer, "must be a list of 1 to %d nanoseconds", LAT_RUNS_MAX);
        }
        for (size_t i = 0; i < n; i++) {
            const json_t *run = json_array_get(block, i);
            const json_int_t ns = json_integer_value(run); /* 0 for what is no integer */
            if (ns < LAT_NS_MIN || ns > LAT_NS_MAX) {
                (void)snprintf(pointer, sizeof pointer, "/%s/%zu/%zu", name, b, i);
                return tl_fail_at(err, TL_INVALID, pointer, "must be an integer of nanoseconds, from 1 us to 1 h");
            }
        }
        runs += n;
    }
    *ret_runs = runs;
    return TL_OK;
}

static void copy_blocks(const json_t *array, uint16_t *ret_n, int64_t *ret_ns)
{
    for (size_t b = 0; b < json_array_size(array); b++) {
        const json_t *block = json_array_get(array, b);
        const size_t n = json_array_size(block);
        ret_n[b] = (uint16_t)n;
        for (size_t i = 0; i < n; i++) {
            *ret_ns++ = json_integer_value(json_array_get(block, i));
        }
    }
}

/* All four arrays of a visit in one piece of memory: runs first, since they are the wider type. */
static enum tl_rc read_visit(struct tl_json_object *top, struct lat_measurement *measurement, struct tl_err *err)
{
    json_t *items = NULL, *anchors = NULL;
    size_t item_runs = 0, anchor_runs = 0, samples = 0;
    enum tl_rc rc;

    if ((rc = tl_json_choice(top, "samples", TL_OPTIONAL, SAMPLES, TL_COUNT_OF(SAMPLES), &samples, err)) ||
        (rc = tl_json_array(top, "item_ns", TL_REQUIRED, LAT_ROUNDS_MIN, LAT_ROUNDS_MAX, &items, err)) ||
        (rc = tl_json_array(top, "anchor_ns", TL_REQUIRED, json_array_size(items) + 1, json_array_size(items) + 1,
                            &anchors, err)) ||
        (rc = check_blocks("item_ns", items, &item_runs, err)) ||
        (rc = check_blocks("anchor_ns", anchors, &anchor_runs, err))) {
        return rc;
    }
    const size_t rounds = json_array_size(items), runs = item_runs + anchor_runs;
    int64_t *ns = malloc(runs * sizeof *ns + (2 * rounds + 1) * sizeof(uint16_t));
    if (ns == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu runs", runs);
    }
    uint16_t *counts = (uint16_t *)(void *)(ns + runs);
    copy_blocks(items, counts, ns);
    copy_blocks(anchors, counts + rounds, ns + item_runs);
    measurement->memory = ns;
    measurement->visit = (struct lat_visit){.rounds = rounds,
                                            .item_n = counts,
                                            .item_ns = ns,
                                            .anchor_n = counts + rounds,
                                            .anchor_ns = ns + item_runs,
                                            .others_cpu = NAN,
                                            .steal = NAN,
                                            .khz_before = NAN,
                                            .khz_after = NAN,
                                            .means = samples == 1};
    return TL_OK;
}

/* Who measured what: everything but the visit and its context. */
static enum tl_rc read_label(struct tl_json_object *top, struct lat_measurement *measurement, struct tl_err *err)
{
    const char *device = NULL, *job = NULL, *subject = NULL, *started = NULL;
    struct tl_hash agent_key;
    int64_t item = 0;
    size_t kind = 0;
    enum tl_rc rc;

    if ((rc = tl_json_name(top, "device", TL_REQUIRED, &device, err)) ||
        (rc = tl_json_hash(top, "agent_key", TL_REQUIRED, &agent_key, err)) ||
        (rc = tl_json_string(top, "job", TL_REQUIRED, TL_UUID_TEXT - 1, &job, err)) ||
        (rc = tl_json_int(top, "attempt", TL_REQUIRED, 1, INT32_MAX, &measurement->attempt, err)) ||
        (rc = tl_json_int(top, "item", TL_REQUIRED, 0, LAT_JOB_ITEMS_MAX - 1, &item, err)) ||
        (rc = tl_json_string(top, "subject", TL_REQUIRED, NET_KEY_MAX - 1, &subject, err)) ||
        (rc = tl_json_choice(top, "kind", TL_REQUIRED, KINDS, TL_COUNT_OF(KINDS), &kind, err)) ||
        (rc = tl_json_string(top, "started", TL_REQUIRED, TL_TIME_TEXT - 1, &started, err)) ||
        (rc = tl_json_real(top, "duration_s", TL_REQUIRED, 0, 1e6, &measurement->duration_s, err))) {
        return rc;
    }
    if (!tl_uuid_valid(job)) {
        return fail_field(top, "job", "a UUID", err);
    }
    if (!lat_subject_valid(subject)) {
        return fail_field(top, "subject", "one or more of a-z, 0-9, '.', '_' and '-'", err);
    }
    if (!is_utc_time(started)) {
        return fail_field(top, "started", "a time in UTC such as 2026-11-21T06:30:00.123Z", err);
    }
    (void)snprintf(measurement->device, sizeof measurement->device, "%s", device);
    tl_hash_format(&agent_key, measurement->agent_key);
    (void)snprintf(measurement->job, sizeof measurement->job, "%s", job);
    (void)snprintf(measurement->subject, sizeof measurement->subject, "%s", subject);
    (void)snprintf(measurement->started, sizeof measurement->started, "%s", started);
    measurement->item = (size_t)item;
    measurement->is_block = kind == 1;
    return TL_OK;
}

enum tl_rc lat_measurement_decode(const char *text, size_t n, struct lat_measurement *ret_measurement,
                                  struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(lat_measurement) measurement = {0};
    struct tl_json_object top;
    enum tl_rc rc;

    if ((rc = tl_json_parse(&doc, text, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = read_label(&top, &measurement, err)) || (rc = read_visit(&top, &measurement, err)) ||
        (rc = read_context(&top, &measurement, err)) || (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    *ret_measurement = measurement;
    measurement.memory = NULL;
    return TL_OK;
}
