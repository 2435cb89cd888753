/* cli_limits.c - see cli_limits.h. */
#include "server/cli_limits.h"
#include "server/codec_cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t POLL_NS = 500000000LL;

static enum tl_rc read_ranges(struct cli *cli, const struct search_request *request,
                              struct metric_range ret_ranges[COLUMNS_MAX], struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    struct cli_problem document;
    char path[100 + DEVICES_TEXT], devices[DEVICES_TEXT];
    enum tl_rc rc;

    devices_join(&request->devices, ",", devices, sizeof devices);
    snprintf(path, sizeof path, "/spaces/%s/ranges%s%s", request->space, devices[0] ? "?device=" : "", devices);
    if ((rc = cli_call(cli, "GET", path, NULL, NULL, &answer, err))) {
        return rc;
    }
    cli_problem_decode(answer.body.data, answer.body.len, &request->devices, &document);
    for (size_t m = 0; m < COLUMNS_MAX; m++) {
        ret_ranges[m] = document.ranges[m];
    }
    return TL_OK;
}

/* Ask for a profile; one that runs already is as good. */
static enum tl_rc start_profile(struct cli *cli, const char *space, const char *device, struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    TL_AUTO(tl_buf) body = {0};
    struct tl_err why = {0};
    enum tl_rc rc = cli_profile_encode(space, device, &body, err);

    if (rc) {
        return rc;
    }
    rc = cli_call(cli, "POST", "/jobs", NULL, &body, &answer, &why);
    if (rc && rc != TL_CONFLICT) {
        *err = why;
        return rc;
    }
    return TL_OK;
}

/* Watch the jobs of device d until its model is there. */
static enum tl_rc wait_for_model(struct cli *cli, const struct search_request *request, size_t d,
                                 struct metric_range ret_ranges[COLUMNS_MAX], struct tl_err *err)
{
    const char *name = request->devices.names[d];
    TL_AUTO(cli_ticker) ticker = {0};
    int64_t start_ns = tl_clock_mono_ns();
    char path[120], message[160];
    int64_t ended_before = -1;

    snprintf(path, sizeof path, "/devices/%s", name);
    snprintf(message, sizeof message, "%s measures what %s costs there", name, request->space);
    for (;;) {
        TL_AUTO(http_answer) answer = {0};
        struct cli_device device;
        enum tl_rc rc;
        if ((rc = cli_call(cli, "GET", path, NULL, NULL, &answer, err)) ||
            (rc = cli_device_decode(answer.body.data, answer.body.len, &device, err)) ||
            (rc = read_ranges(cli, request, ret_ranges, err)) || isfinite(ret_ranges[METRIC_LATENCY_MS + d].min)) {
            return rc;
        }
        double open = (double)(device.queued + device.leased), ended = (double)(device.done + device.failed);
        ended_before = ended_before < 0 ? device.done + device.failed : ended_before;
        double done = ended - (double)ended_before, seconds = (double)(tl_clock_mono_ns() - start_ns) * 1e-9;
        if (!device.online) {
            snprintf(message, sizeof message, "waiting for the agent of %s", name);
        }
        cli_ticker_show(&ticker, "profiling", message, done, done + open, "jobs",
                        done > 0 ? seconds / done * open : (double)NAN);
        if (open == 0 && done > 0 && seconds > 600.0) {
            return tl_fail(err, TL_UNAVAILABLE, "%s was profiled, but no model came of it; see the server's log", name);
        }
        tl_sleep_ns(POLL_NS);
    }
}

static double four_digits(double value)
{
    char text[32];

    snprintf(text, sizeof text, "%.4g", value);
    return strtod(text, NULL);
}

enum tl_rc cli_limits_resolve(struct cli *cli, struct search_request *request, const bool shares[SEARCH_LIMITS_MAX],
                              struct tl_err *err)
{
    struct metric_range ranges[COLUMNS_MAX];
    bool any = false, latency = false;
    enum tl_rc rc;

    for (size_t i = 0; i < request->n_limits; i++) {
        any = any || shares[i];
        latency = latency || (shares[i] && request->limits[i].metric == METRIC_LATENCY_MS);
    }
    if (!any) {
        return TL_OK;
    }
    if ((rc = read_ranges(cli, request, ranges, err))) {
        return rc;
    }
    for (size_t d = 0; latency && d < request->devices.n; d++) {
        if (!isfinite(ranges[METRIC_LATENCY_MS + d].min) &&
            ((rc = start_profile(cli, request->space, request->devices.names[d], err)) ||
             (rc = wait_for_model(cli, request, d, ranges, err)))) {
            return rc;
        }
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        struct request_limit *limit = &request->limits[i];
        const struct metric_range *range = &ranges[request_limit_column(request, i)];
        char name[COLUMN_NAME_MAX];
        column_name(&request->devices, request_limit_column(request, i), name);
        if (shares[i] && !isfinite(range->min)) {
            return tl_fail(err, TL_INVALID, "%s has no range in %s%s", name, request->space,
                           request->devices.n > 0 ? "" : " without a --device");
        }
        if (shares[i]) {
            limit->bound = four_digits(range->min + limit->bound * 0.01 * (range->max - range->min));
            fprintf(stderr, "%s reaches %.4g to %.4g: the limit is %.4g\n", name, range->min, range->max, limit->bound);
        }
    }
    return TL_OK;
}
