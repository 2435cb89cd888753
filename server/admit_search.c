/* admit_search.c - see admit_search.h. */
#include "server/admit_search.h"
#include "server/evaluator_table.h"
#include "server/flow_evaluate.h"
#include "server/flow_steps.h"
#include "server/spaces.h"
#include "server/together.h"
#include <stdio.h>
#include <string.h>

void admission_done(struct admission *a)
{
    first_answer_done(&a->first);
    snapshot_done(&a->snapshot);
}

static void point_at_device(const struct devices *devices, size_t d, char ret_pointer[32])
{
    (void)snprintf(ret_pointer, 32, devices->n > 1 ? "/devices/%zu" : "/device", d);
}

static enum tl_rc admit_device(struct service *service, const struct admission *a, size_t d, bool *ret_has_agent,
                               struct tl_err *err)
{
    const struct search_request *request = &a->request;
    const char *name = request->devices.names[d];
    struct device_facts device;
    struct tl_err none = {0};
    char pointer[32];
    enum tl_rc rc = flow_device_facts(service->store, name, &device, &none);

    point_at_device(&request->devices, d, pointer);
    if (rc == TL_NOT_FOUND) {
        return tl_fail_at(err, TL_INVALID, pointer, "no device is called %s; GET /devices lists them", name);
    }
    if (rc) {
        return tl_fail(err, rc, "%s", none.text);
    }
    if (!device.has_agent && request->top_k > 0) {
        return tl_fail_at(err, TL_INVALID, "/verify", "%s has no agent that could measure; leave \"verify\" out", name);
    }
    if (device.is_worker) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s is a pool of workers; it can stand in \"evaluate\"", name);
    }
    if (!a->snapshot.latency[d] && !device.has_agent) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s has no latency model of %s and no agent to measure one", name,
                          request->space);
    }
    *ret_has_agent = device.has_agent;
    return TL_OK;
}

/* Without a wish a search is verified where every device has an agent. */
static enum tl_rc admit_devices(struct service *service, struct admission *a, struct tl_err *err)
{
    struct search_request *request = &a->request;
    bool agents = request->devices.n > 0;

    if (request->devices.n == 0 && request->top_k > 0) {
        return tl_fail_at(err, TL_INVALID, "/verify", "verification needs a \"device\" to measure on");
    }
    for (size_t d = 0; d < request->devices.n; d++) {
        bool has_agent = false;
        const enum tl_rc rc = admit_device(service, a, d, &has_agent, err);
        if (rc) {
            return rc;
        }
        agents = agents && has_agent;
    }
    if (request->top_k < 0) {
        request->top_k = agents ? 3 : 0;
    }
    return TL_OK;
}

/* Of a table everything is known: its devices, its metrics, and that nothing of it can be verified. */
static enum tl_rc admit_table(struct admission *a, struct tl_err *err)
{
    const struct value_table *table = a->snapshot.table;
    struct search_request *request = &a->request;
    char devices[300], pointer[32];

    if (request->top_k > 0) {
        return tl_fail_at(err, TL_INVALID, "/verify",
                          "values of a table cannot be verified: no network of %s can be built; leave \"verify\" out",
                          request->space);
    }
    request->top_k = 0;
    for (size_t d = 0; d < request->devices.n; d++) {
        const char *name = request->devices.names[d];
        if (value_table_column_of(table, METRIC_LATENCY_MS, name) < 0) {
            point_at_device(&request->devices, d, pointer);
            value_table_devices(table, devices, sizeof(devices));
            return tl_fail_at(err, TL_INVALID, pointer, "the table of %s has no latencies of %s; it has %s",
                              request->space, name, devices[0] ? devices : "those of no device");
        }
    }
    return TL_OK;
}

static enum tl_rc admit_tabulated(const struct admission *a, enum metric metric, const char *pointer,
                                  struct tl_err *err)
{
    const struct search_request *request = &a->request;
    char devices[300];

    value_table_devices(a->snapshot.table, devices, sizeof(devices));
    if (value_table_column_of(a->snapshot.table, metric, request->devices.names[0]) >= 0) {
        return TL_OK; /* latencies of the other devices were looked for above */
    }
    if (metric == METRIC_LATENCY_MS && devices[0]) {
        return tl_fail_at(err, TL_INVALID, pointer, "latency_ms needs a \"device\"; the table of %s has %s",
                          request->space, devices);
    }
    return tl_fail_at(err, TL_INVALID, pointer, "the table of %s has no %s; GET /spaces/%s shows its columns",
                      request->space, metric_names[metric], request->space);
}

static enum tl_rc admit_metric(const struct admission *a, enum metric metric, const char *pointer, struct tl_err *err)
{
    if (a->request.evaluated >> metric & 1U) {
        return TL_OK;
    }
    if (!a->snapshot.family && !a->snapshot.table) {
        return tl_fail_at(err, TL_INVALID, pointer, "nobody values %s of %s; add it to /evaluate/metrics",
                          metric_names[metric], a->request.space);
    }
    if (a->snapshot.table) {
        return admit_tabulated(a, metric, pointer, err);
    }
    if (metric == METRIC_ACCURACY && !a->snapshot.accuracy) {
        return tl_fail_at(err, TL_INVALID, pointer,
                          "there is no accuracy model of %s; import one (POST /models) or minimise another metric",
                          a->request.space);
    }
    if (metric == METRIC_LATENCY_MS && a->request.devices.n == 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "latency_ms needs a \"device\"");
    }
    return TL_OK;
}

static enum tl_rc admit_objectives(const struct admission *a, struct tl_err *err)
{
    const struct search_request *request = &a->request;
    enum tl_rc rc = TL_OK;

    if (request->n_objectives == 0) {
        return admit_metric(a, request->objective.metric, "/objective", err);
    }
    for (size_t i = 0; !rc && i < request->n_objectives; i++) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/objectives/%zu/%s", i,
                 request->objectives[i].metric == METRIC_ACCURACY ? "maximize" : "minimize");
        rc = admit_metric(a, request->objectives[i].metric, pointer, err);
    }
    return rc;
}

/* Outside even the interval: refused. Inside the interval: a warning. */
static enum tl_rc admit_limit(struct admission *a, size_t i, struct tl_err *err)
{
    const struct request_limit *limit = &a->request.limits[i];
    const size_t column = request_limit_column(&a->request, i);
    const struct metric_range *range = &a->ranges[column];
    char pointer[64], name[COLUMN_NAME_MAX];
    double end = limit->is_min ? range->max : range->min;
    double slack = limit->is_min ? range->max_slack : range->min_slack;
    double beyond = limit->is_min ? limit->bound - end : end - limit->bound;

    column_name(&a->request.devices, column, name);
    snprintf(pointer, sizeof(pointer), "/constraints/%u/%s", limit->place, limit->is_min ? "min" : "max");
    if (beyond > slack) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s %s %.6g cannot be met: it reaches %.6g to %.6g", name,
                          limit->is_min ? "of at least" : "of at most", limit->bound, range->min, range->max);
    }
    if (beyond > 0.0) {
        snprintf(a->warning, sizeof(a->warning),
                 "%s %.6g lies beyond what is predicted to be reachable (%.6g), though within the interval", name,
                 limit->bound, end);
    }
    return TL_OK;
}

/* The snapshot that was named, or what is current. */
static enum tl_rc admit_snapshot(struct service *service, struct admission *a, struct tl_err *err)
{
    const struct search_request *request = &a->request;
    struct tl_err none = {0};
    const bool named = request->snapshot[0] != '\0';
    char devices[DEVICES_TEXT], pinned[DEVICES_TEXT];
    enum tl_rc rc;

    devices_join(&request->devices, ",", devices, sizeof(devices));
    rc = named ? snapshots_load(service->snapshots, request->snapshot, &a->snapshot, &none)
               : snapshots_pin(service->snapshots, request->space, devices, &a->snapshot, &none);
    if (rc == TL_NOT_FOUND && named) {
        return tl_fail_at(err, TL_INVALID, "/snapshot", "no snapshot is called %s; a search names its own",
                          request->snapshot);
    }
    if (rc == TL_NOT_FOUND) {
        return tl_fail_at(err, TL_INVALID, "/space", "no space is called %s; GET /spaces lists them", request->space);
    }
    if (rc) {
        return tl_fail(err, rc, "%s", none.text);
    }
    devices_join(&a->snapshot.devices, ",", pinned, sizeof(pinned));
    if (strcmp(a->snapshot.space->space.name, request->space) != 0 || strcmp(pinned, devices) != 0) {
        return tl_fail_at(err, TL_INVALID, "/snapshot", "this snapshot is of space %s%s%.200s, not of what is asked",
                          a->snapshot.space->space.name, pinned[0] ? " and device " : "", pinned);
    }
    const size_t lacks = snapshot_lacks(&a->snapshot);
    if (named && lacks < request->devices.n) {
        return tl_fail_at(err, TL_INVALID, "/snapshot", "this snapshot has no latency model of %s; leave it out",
                          request->devices.names[lacks]);
    }
    return TL_OK;
}

enum tl_rc admit_search(struct service *service, struct admission *a, bool *ret_out_of_reach, struct tl_err *err)
{
    struct search_request *request = &a->request;
    enum tl_rc rc = admit_snapshot(service, a, err);

    if (rc) {
        return rc;
    }
    if (!a->snapshot.family && !a->snapshot.table && !request->evaluated) {
        return tl_fail_at(err, TL_INVALID, "/space",
                          "no network of %s can be built and it has no table of values; PUT /spaces/%s/table brings "
                          "one, or let workers of your own value it (\"evaluate\")",
                          request->space, request->space);
    }
    if ((rc = flow_evaluate_admit(service->store, request, &a->snapshot, err)) ||
        (rc = a->snapshot.table ? admit_table(a, err) : admit_devices(service, a, err)) ||
        (rc = admit_objectives(a, err))) {
        return rc;
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/constraints/%u/metric", request->limits[i].place);
        if ((rc = admit_metric(a, request->limits[i].metric, pointer, err))) {
            return rc;
        }
    }
    if (snapshot_lacks(&a->snapshot) < a->snapshot.devices.n) {
        return TL_OK; /* checked after profiling */
    }
    if ((rc = flow_evaluate_ranges(service->snapshots, &a->snapshot, request->evaluated, a->ranges, err))) {
        return rc;
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        if ((rc = admit_limit(a, i, err))) {
            *ret_out_of_reach = true;
            return rc;
        }
    }
    rc = together_admit(&a->snapshot, request, &a->together, err);
    *ret_out_of_reach = a->together.n > 0;
    return rc;
}
