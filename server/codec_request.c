/* codec_request.c - what is POSTed to /search, in and out.
 */
#include "base/codec_json.h"
#include "server/codec_search.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOP_K_DEFAULT = 3, ROUNDS_DEFAULT = 3 };
static const double BUDGET_SECONDS_MAX = 86400.0;
static const char *const goal_names[] = {"minimize", "maximize"};

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from);
}

/* ---- devices ------------------------------------------------------------------------------------------------- */

static enum tl_rc decode_device(json_t *array, size_t i, struct devices *devices, struct tl_err *err)
{
    const char *name = json_string_value(json_array_get(array, i));
    char pointer[32];

    snprintf(pointer, sizeof(pointer), "/devices/%zu", i);
    if (!name || !tl_name_valid(name)) {
        return tl_fail_at(err, TL_INVALID, pointer,
                          "must be a name: 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
    }
    if (devices_find(devices, name) >= 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s is among the devices already", name);
    }
    copy_text(devices->names[devices->n++], sizeof(devices->names[0]), name);
    return TL_OK;
}

/* "device", or "devices"; neither: none. */
static enum tl_rc decode_devices(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    const char *device = "";
    json_t *array = NULL;
    enum tl_rc rc;

    if ((rc = tl_json_name(top, "device", TL_OPTIONAL, &device, err)) ||
        (rc = tl_json_array(top, "devices", TL_OPTIONAL, 2, DEVICES_MAX, &array, err))) {
        return rc;
    }
    if (device[0] && array) {
        return tl_fail_at(err, TL_INVALID, "/devices", "stands beside \"device\"; give one of the two");
    }
    for (size_t i = 0; i < json_array_size(array) && !rc; i++) {
        rc = decode_device(array, i, &r->devices, err);
    }
    if (!rc && device[0]) {
        r->devices.n = 1;
        copy_text(r->devices.names[0], sizeof(r->devices.names[0]), device);
    }
    return rc;
}

/* The "device" of a constraint or an objective: a latency is one device's, nothing else is. */
static enum tl_rc decode_whose(struct tl_json_object *object, const struct devices *devices, const char **ret_name,
                               struct tl_err *err)
{
    char pointer[160], known[DEVICES_TEXT + DEVICES_MAX];
    enum tl_rc rc = tl_json_name(object, "device", TL_OPTIONAL, ret_name, err);

    if (rc || !**ret_name || devices_find(devices, *ret_name) >= 0) {
        return rc;
    }
    snprintf(pointer, sizeof(pointer), "%s/device", object->pointer);
    devices_join(devices, ", ", known, sizeof(known));
    return tl_fail_at(err, TL_INVALID, pointer, "%s is none of the search's devices: %s", *ret_name,
                      known[0] ? known : "it has none");
}

static enum tl_rc settle_whose(const struct tl_json_object *object, const struct devices *devices, enum metric metric,
                               const char *name, uint8_t *ret_device, struct tl_err *err)
{
    char pointer[160], known[DEVICES_TEXT + DEVICES_MAX];

    if (name[0] && metric != METRIC_LATENCY_MS) {
        snprintf(pointer, sizeof(pointer), "%s/device", object->pointer);
        return tl_fail_at(err, TL_INVALID, pointer, "%s is the same on every device; leave \"device\" out",
                          metric_names[metric]);
    }
    if (!name[0] && metric == METRIC_LATENCY_MS && devices->n > 1) {
        devices_join(devices, ", ", known, sizeof(known));
        return tl_fail_at(err, TL_INVALID, object->pointer, "needs a \"device\", the one whose latency is meant: %s",
                          known);
    }
    *ret_device = name[0] ? (uint8_t)devices_find(devices, name) : 0;
    return TL_OK;
}

size_t request_limit_column(const struct search_request *request, size_t limit)
{
    return column_of(&request->devices, request->limits[limit].metric, request->limits[limit].device);
}

size_t request_goal_column(const struct search_request *request, const struct request_goal *goal)
{
    return column_of(&request->devices, goal->metric, goal->device);
}

/* ---- objectives ---------------------------------------------------------------------------------------------- */

/* {"maximize": metric} or {"minimize": metric}, one of them; of several devices' latency also {"device"}. */
static enum tl_rc decode_goal(struct tl_json_object *object, const struct devices *devices,
                              struct request_goal *ret_goal, struct tl_err *err)
{
    char pointer[160];
    const char *device = "";
    size_t up = METRIC_COUNT, down = METRIC_COUNT;
    enum tl_rc rc;

    if ((rc = tl_json_choice(object, "maximize", TL_OPTIONAL, metric_names, METRIC_COUNT, &up, err)) ||
        (rc = tl_json_choice(object, "minimize", TL_OPTIONAL, metric_names, METRIC_COUNT, &down, err)) ||
        (rc = decode_whose(object, devices, &device, err)) || (rc = tl_json_object_close(object, err))) {
        return rc;
    }
    if ((up == METRIC_COUNT) == (down == METRIC_COUNT)) {
        return tl_fail_at(err, TL_INVALID, object->pointer, "needs exactly one of \"maximize\" and \"minimize\"");
    }
    bool maximize = up != METRIC_COUNT;
    enum metric metric = (enum metric)(maximize ? up : down);
    if (maximize != (metric == METRIC_ACCURACY)) {
        snprintf(pointer, sizeof(pointer), "%s/%s", object->pointer, goal_names[maximize]);
        return tl_fail_at(err, TL_INVALID, pointer, "%s cannot be %s: accuracy is maximised, everything else minimised",
                          metric_names[metric], maximize ? "maximised" : "minimised");
    }
    ret_goal->metric = metric;
    return settle_whose(object, devices, metric, device, &ret_goal->device, err);
}

static enum tl_rc decode_objectives(struct tl_json_object *top, json_t *array, struct search_request *r,
                                    struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < json_array_size(array); i++) {
        struct tl_json_object element;
        struct request_goal goal = {.metric = METRIC_ACCURACY};
        if ((rc = tl_json_element(top, "objectives", array, i, &element, err)) ||
            (rc = decode_goal(&element, &r->devices, &goal, err))) {
            return rc;
        }
        for (size_t j = 0; j < i; j++) {
            if (r->objectives[j].metric == goal.metric && r->objectives[j].device == goal.device) {
                char pointer[160];
                snprintf(pointer, sizeof(pointer), "%s/%s", element.pointer,
                         goal_names[goal.metric == METRIC_ACCURACY]);
                return tl_fail_at(err, TL_INVALID, pointer, "%s is among the objectives already",
                                  metric_names[goal.metric]);
            }
        }
        r->objectives[r->n_objectives++] = goal;
    }
    return rc;
}

/* "objective", or "objectives", whose first is the objective; neither: accuracy. */
static enum tl_rc decode_objective(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    struct tl_json_object object;
    json_t *array = NULL;
    bool there = false;
    enum tl_rc rc;

    r->objective.metric = METRIC_ACCURACY;
    if ((rc = tl_json_nested(top, "objective", TL_OPTIONAL, &object, &there, err)) ||
        (rc = tl_json_array(top, "objectives", TL_OPTIONAL, 2, OBJECTIVES_MAX, &array, err))) {
        return rc;
    }
    if (there && array) {
        return tl_fail_at(err, TL_INVALID, "/objectives", "stands beside \"objective\"; give one of the two");
    }
    if ((there && (rc = decode_goal(&object, &r->devices, &r->objective, err))) ||
        (array && (rc = decode_objectives(top, array, r, err)))) {
        return rc;
    }
    r->objective = array ? r->objectives[0] : r->objective;
    r->maximize = r->objective.metric == METRIC_ACCURACY;
    return TL_OK;
}

static enum tl_rc decode_limit(struct tl_json_object *object, size_t place, struct search_request *r,
                               struct tl_err *err)
{
    struct request_limit limit = {0};
    double max = NAN, min = NAN;
    const char *device = "";
    size_t metric = 0;
    enum tl_rc rc;

    if ((rc = tl_json_choice(object, "metric", TL_REQUIRED, metric_names, METRIC_COUNT, &metric, err)) ||
        (rc = tl_json_real(object, "max", TL_OPTIONAL, 0.0, 1e18, &max, err)) ||
        (rc = tl_json_real(object, "min", TL_OPTIONAL, 0.0, 1e18, &min, err)) ||
        (rc = decode_whose(object, &r->devices, &device, err)) || (rc = tl_json_object_close(object, err)) ||
        (rc = settle_whose(object, &r->devices, (enum metric)metric, device, &limit.device, err))) {
        return rc;
    }
    if (isnan(max) && isnan(min)) {
        return tl_fail_at(err, TL_INVALID, object->pointer, "needs \"max\" or \"min\", a number in the metric's unit");
    }
    if (max < min) {
        return tl_fail_at(err, TL_INVALID, object->pointer, "max %g is below min %g: nothing can satisfy both", max,
                          min);
    }
    limit.metric = (enum metric)metric;
    limit.place = (uint8_t)place;
    for (int side = 0; side < 2; side++) {
        limit.is_min = side == 1;
        limit.bound = side ? min : max;
        if (isnan(limit.bound)) {
            continue;
        }
        if (r->n_limits == SEARCH_LIMITS_MAX) {
            return tl_fail_at(err, TL_INVALID, object->pointer, "at most %d bounds fit in one search",
                              SEARCH_LIMITS_MAX);
        }
        r->limits[r->n_limits++] = limit;
    }
    return TL_OK;
}

static enum tl_rc decode_limits(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(top, "constraints", TL_OPTIONAL, 0, SEARCH_LIMITS_MAX, &array, err);

    for (size_t i = 0; !rc && array && i < json_array_size(array); i++) {
        struct tl_json_object element;
        if ((rc = tl_json_element(top, "constraints", array, i, &element, err))) {
            return rc;
        }
        rc = decode_limit(&element, i, r, err);
    }
    return rc;
}

/* A reward, where the controller learns from one. */
static enum tl_rc decode_reward(struct tl_json_object *object, struct search_request *r, struct tl_err *err)
{
    const char *names[SEARCH_REWARD_COUNT] = {0};
    size_t chosen = SEARCH_REWARD_COUNT;
    enum tl_rc rc;

    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        names[i] = search_reward_name((enum search_reward)i);
    }
    rc = tl_json_choice(object, "reward", TL_OPTIONAL, names + 1, TL_COUNT_OF(names) - 1, &chosen, err);
    if (rc || chosen == SEARCH_REWARD_COUNT) {
        return rc;
    }
    if (!search_controller_get(r->controller)->rewards) {
        return tl_fail_at(err, TL_INVALID, "/controller/reward", "%s takes no reward; reinforce and ppo learn from one",
                          r->controller);
    }
    r->reward = (enum search_reward)(chosen + 1);
    return TL_OK;
}

static enum tl_rc decode_controller(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    const char *names[16] = {0};
    struct tl_json_object object;
    size_t n = search_controller_count(), chosen = 0;
    int64_t seed = 1;
    bool there = false;
    enum tl_rc rc;

    for (size_t i = 0; i < n && i < TL_COUNT_OF(names); i++) {
        names[i] = search_controller_at(i)->name;
        chosen = strcmp(names[i], CONTROLLER_DEFAULT) == 0 ? i : chosen;
    }
    if ((rc = tl_json_nested(top, "controller", TL_OPTIONAL, &object, &there, err))) {
        return rc;
    }
    if (there && ((rc = tl_json_choice(&object, "name", TL_OPTIONAL, names, n, &chosen, err)) ||
                  (rc = tl_json_int(&object, "seed", TL_OPTIONAL, 0, INT64_MAX, &seed, err)))) {
        return rc;
    }
    copy_text(r->controller, sizeof(r->controller), names[chosen]);
    r->seed = (uint64_t)seed;
    if (there && ((rc = decode_reward(&object, r, err)) || (rc = tl_json_object_close(&object, err)))) {
        return rc;
    }
    return TL_OK;
}

static enum tl_rc decode_evaluated(json_t *list, struct search_request *r, struct tl_err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        char pointer[64];
        size_t m = 0;
        while (m < METRIC_COUNT && !(name && strcmp(name, metric_names[m]) == 0)) {
            m++;
        }
        snprintf(pointer, sizeof(pointer), "/evaluate/metrics/%zu", i);
        if (m == METRIC_COUNT) {
            const char *near = name ? tl_nearest(name, metric_names, METRIC_COUNT) : NULL;
            return tl_fail_at(err, TL_INVALID, pointer, "must be a metric: %s%s%s", near ? "did you mean \"" : "",
                              near ? near : "accuracy, latency_ms, macs, params, size_bytes or peak_memory_bytes",
                              near ? "\"?" : "");
        }
        if (r->evaluated >> m & 1U) {
            return tl_fail_at(err, TL_INVALID, pointer, "%s is among the metrics already", metric_names[m]);
        }
        r->evaluated |= 1U << m;
    }
    return TL_OK;
}

/* {"by": a pool of workers, "metrics": what they value}. */
static enum tl_rc decode_evaluate(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    struct tl_json_object object;
    const char *by = NULL;
    json_t *metrics = NULL;
    bool there = false;
    enum tl_rc rc = tl_json_nested(top, "evaluate", TL_OPTIONAL, &object, &there, err);

    if (rc || !there) {
        return rc;
    }
    if ((rc = tl_json_name(&object, "by", TL_REQUIRED, &by, err)) ||
        (rc = tl_json_array(&object, "metrics", TL_REQUIRED, 1, METRIC_COUNT, &metrics, err)) ||
        (rc = tl_json_object_close(&object, err))) {
        return rc;
    }
    copy_text(r->pool, sizeof(r->pool), by);
    return decode_evaluated(metrics, r, err);
}

static enum tl_rc decode_budget(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    struct tl_json_object object;
    int64_t evaluations = r->pool[0] ? EVALUATIONS_DEAR : EVALUATIONS_DEFAULT;
    double seconds = 0.0;
    bool there = false;
    enum tl_rc rc = tl_json_nested(top, "budget", TL_OPTIONAL, &object, &there, err);

    if (!rc && there) {
        (void)((rc = tl_json_int(&object, "evaluations", TL_OPTIONAL, 1, 1000000000, &evaluations, err)) ||
               (rc = tl_json_real(&object, "seconds", TL_OPTIONAL, 0.0, BUDGET_SECONDS_MAX, &seconds, err)) ||
               (rc = tl_json_object_close(&object, err)));
    }
    if (!rc && seconds > 0.0 && r->pool[0]) {
        return tl_fail_at(err, TL_INVALID, "/budget/seconds",
                          "counts the time of the search alone, not that of workers; bound \"evaluations\" instead");
    }
    if (!rc) {
        r->evaluations = (uint64_t)evaluations;
        r->seconds = seconds;
    }
    return rc;
}

/* false, or {"top_k","rounds"}; absent: left to the device. */
static enum tl_rc decode_verify(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    struct tl_json_object object;
    int64_t top_k = TOP_K_DEFAULT, rounds = ROUNDS_DEFAULT;
    bool there = false, wanted = true;
    enum tl_rc rc;

    r->top_k = -1;
    r->rounds = ROUNDS_DEFAULT;
    if (json_is_boolean(json_object_get(top->json, "verify"))) {
        if ((rc = tl_json_bool(top, "verify", TL_OPTIONAL, &wanted, err))) {
            return rc;
        }
        r->top_k = wanted ? TOP_K_DEFAULT : 0;
        return TL_OK;
    }
    if ((rc = tl_json_nested(top, "verify", TL_OPTIONAL, &object, &there, err)) || !there) {
        return rc;
    }
    if ((rc = tl_json_int(&object, "top_k", TL_OPTIONAL, 1, TOP_K_MAX, &top_k, err)) ||
        (rc = tl_json_int(&object, "rounds", TL_OPTIONAL, 1, ROUNDS_MAX, &rounds, err)) ||
        (rc = tl_json_object_close(&object, err))) {
        return rc;
    }
    r->top_k = (int)top_k;
    r->rounds = (int)rounds;
    return TL_OK;
}

static enum tl_rc decode_snapshot(struct tl_json_object *top, struct search_request *r, struct tl_err *err)
{
    struct tl_hash hash;
    const bool there = json_object_get(top->json, "snapshot") != NULL;
    enum tl_rc rc = tl_json_hash(top, "snapshot", TL_OPTIONAL, &hash, err);

    if (!rc && there) {
        tl_hash_format(&hash, r->snapshot);
    }
    return rc;
}

/* Two bounds on one metric that leave nothing between them. */
static enum tl_rc check_contradictions(const struct search_request *r, struct tl_err *err)
{
    for (size_t i = 0; i < r->n_limits; i++) {
        for (size_t j = 0; j < r->n_limits; j++) {
            const struct request_limit *low = &r->limits[i], *high = &r->limits[j];
            if (low->metric == high->metric && low->device == high->device && low->is_min && !high->is_min &&
                low->bound > high->bound) {
                return tl_fail_at(err, TL_INVALID, "/constraints",
                                  "%s must be at least %g and at most %g: nothing can satisfy both",
                                  metric_names[low->metric], low->bound, high->bound);
            }
        }
    }
    return TL_OK;
}

enum tl_rc search_request_decode(const char *json, size_t n, struct search_request *ret_request, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct search_request r = {0};
    const char *space = "", *label = "";
    enum tl_rc rc;

    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_name(&top, "space", TL_REQUIRED, &space, err)) || (rc = decode_devices(&top, &r, err)) ||
        (rc = tl_json_string(&top, "label", TL_OPTIONAL, REQUEST_LABEL_MAX, &label, err)) ||
        (rc = decode_snapshot(&top, &r, err)) || (rc = decode_objective(&top, &r, err)) ||
        (rc = decode_limits(&top, &r, err)) || (rc = decode_controller(&top, &r, err)) ||
        (rc = decode_evaluate(&top, &r, err)) || (rc = decode_budget(&top, &r, err)) ||
        (rc = decode_verify(&top, &r, err)) || (rc = tl_json_object_close(&top, err)) ||
        (rc = check_contradictions(&r, err))) {
        return rc;
    }
    copy_text(r.space, sizeof(r.space), space);
    copy_text(r.label, sizeof(r.label), label);
    *ret_request = r;
    return TL_OK;
}

/* With the name of the device where only that says whose latency it is. */
static json_t *with_device(json_t *json, const struct devices *devices, enum metric metric, size_t device)
{
    if (devices->n > 1 && metric == METRIC_LATENCY_MS) {
        json_object_set_new(json, "device", json_string(devices->names[device]));
    }
    return json;
}

static json_t *encode_limits(const struct search_request *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_limits; i++) {
        const struct request_limit *limit = &r->limits[i];
        json_t *json = json_pack("{s:s, s:o}", "metric", metric_names[limit->metric], limit->is_min ? "min" : "max",
                                 tl_json_number(limit->bound));
        json_array_append_new(list, with_device(json, &r->devices, limit->metric, limit->device));
    }
    return list;
}

static json_t *encode_evaluate(const struct search_request *r)
{
    json_t *metrics = json_array();

    for (size_t m = 0; m < METRIC_COUNT; m++) {
        if (r->evaluated >> m & 1U) {
            json_array_append_new(metrics, json_string(metric_names[m]));
        }
    }
    return json_pack("{s:s, s:o}", "by", r->pool, "metrics", metrics);
}

static json_t *encode_goal(const struct search_request *r, const struct request_goal *goal, bool maximize)
{
    return with_device(json_pack("{s:s}", goal_names[maximize], metric_names[goal->metric]), &r->devices, goal->metric,
                       goal->device);
}

/* The value of "objective" or "objectives". */
static json_t *encode_objectives(const struct search_request *r)
{
    json_t *list;

    if (r->n_objectives == 0) {
        return encode_goal(r, &r->objective, r->maximize);
    }
    list = json_array();
    for (size_t i = 0; i < r->n_objectives; i++) {
        bool maximize = i == 0 ? r->maximize : r->objectives[i].metric == METRIC_ACCURACY;
        json_array_append_new(list, encode_goal(r, &r->objectives[i], maximize));
    }
    return list;
}

static json_t *encode_devices(const struct devices *devices)
{
    json_t *list = json_array();

    for (size_t i = 0; i < devices->n; i++) {
        json_array_append_new(list, json_string(devices->names[i]));
    }
    return list;
}

enum tl_rc search_request_encode(const struct search_request *r, struct tl_buf *buf, struct tl_err *err)
{
    json_t *budget = json_pack("{s:I}", "evaluations", (json_int_t)r->evaluations);
    json_t *controller = json_pack("{s:s, s:I}", "name", r->controller, "seed", (json_int_t)r->seed);
    json_t *json =
        json_pack("{s:s, s:o, s:o, s:o, s:o}", "space", r->space, r->n_objectives > 0 ? "objectives" : "objective",
                  encode_objectives(r), "constraints", encode_limits(r), "controller", controller, "budget", budget);

    if (r->reward != SEARCH_REWARD_DEFAULT) {
        json_object_set_new(controller, "reward", json_string(search_reward_name(r->reward)));
    }
    if (r->seconds > 0.0) {
        json_object_set_new(budget, "seconds", tl_json_number(r->seconds));
    }
    if (r->devices.n > 1) {
        json_object_set_new(json, "devices", encode_devices(&r->devices));
    } else if (r->devices.n == 1) {
        json_object_set_new(json, "device", json_string(r->devices.names[0]));
    }
    if (r->label[0]) {
        json_object_set_new(json, "label", json_string(r->label));
    }
    if (r->pool[0]) {
        json_object_set_new(json, "evaluate", encode_evaluate(r));
    }
    if (r->snapshot[0]) {
        json_object_set_new(json, "snapshot", json_string(r->snapshot));
    }
    if (r->top_k == 0) {
        json_object_set_new(json, "verify", json_false());
    } else if (r->top_k > 0) {
        json_object_set_new(json, "verify", json_pack("{s:i, s:i}", "top_k", r->top_k, "rounds", r->rounds));
    }
    return tl_json_dump_take(json, buf, err); /* 15 digits: a limit reads as it was written */
}
