/* routes_lut.c - a device's latency model as the lookup table that other search tools read. */
#include "server/routes.h"
#include "server/snapshots.h"

#include <stdio.h>
#include <string.h>

static const char *const style_names[] = {
    [LAT_TABLE_MOBILENETV3] = "mobilenetv3", [LAT_TABLE_PROXYLESS] = "proxylessnas"};

/* Networks that squeeze or have hard swishes need the style that can say so. */
static enum lat_table_style style_of(const struct net_family *family)
{
    for (size_t s = 0; s < family->n_stages; s++) {
        if (family->stages[s].se || family->stages[s].act == NET_ACT_HSWISH) {
            return LAT_TABLE_MOBILENETV3;
        }
    }
    return LAT_TABLE_PROXYLESS;
}

static enum tl_rc read_style(const struct http_request *request, const struct net_family *family,
                             enum lat_table_style *ret_style, struct tl_err *err)
{
    const char *name = http_query(request, "style");

    *ret_style = style_of(family);
    for (size_t i = 0; name && i < TL_COUNT_OF(style_names); i++) {
        if (strcmp(name, style_names[i]) == 0) {
            *ret_style = (enum lat_table_style)i;
            return TL_OK;
        }
    }
    return name ? tl_fail(err, TL_INVALID, "style is mobilenetv3 (middle channels) or proxylessnas (ratios)") : TL_OK;
}

/* The one asked for, or the only one that the model has. */
static enum tl_rc read_resolution(const struct http_request *request, const struct lat_model *model,
                                  int64_t *ret_resolution, struct tl_err *err)
{
    const uint16_t *all = NULL;
    const size_t n = lat_model_resolutions(model, &all);
    TL_AUTO(tl_buf) list = {0};
    enum tl_rc rc;

    *ret_resolution = n == 1 ? all[0] : 0;
    if ((rc = http_query_int(request, "resolution", 1, NET_SIDE_MAX, ret_resolution, err))) {
        return rc;
    }
    for (size_t i = 0; !rc && i < n; i++) {
        if (all[i] == *ret_resolution) {
            return TL_OK;
        }
        rc = tl_buf_addf(&list, err, "%s%u", i ? ", " : "", all[i]);
    }
    return rc ? rc : tl_fail(err, TL_INVALID, "resolution is one of %s", n ? (const char *)list.data : "none");
}

static enum tl_rc write_table(const struct http_request *request, const struct snapshot *snapshot,
                              struct http_response *response, struct tl_err *err)
{
    enum lat_table_style style = LAT_TABLE_MOBILENETV3;
    int64_t resolution = 0;
    enum tl_rc rc;

    if ((rc = read_style(request, snapshot->family, &style, err)) ||
        (rc = read_resolution(request, snapshot->latency[0], &resolution, err)) ||
        (rc = tl_buf_addf(&response->body, err,
                          "# %s, %s at %u pixels: predicted ms; a network's is the sum over its blocks\n",
                          snapshot->devices.names[0], snapshot->family->name, (unsigned)resolution))) {
        return rc;
    }
    return lat_model_export(snapshot->latency[0], snapshot->family, (unsigned)resolution, style, &response->body, err);
}

enum tl_rc route_device_lut(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    static const char *const known[] = {"space", "resolution", "style"};
    const char *device = request->params[0], *space = http_query(request, "space");
    TL_AUTO(snapshot) snapshot = {0};
    enum tl_rc rc;

    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err))) {
        return rc;
    }
    if (!space) {
        return tl_fail(err, TL_INVALID, "space is missing: ?space=NAME, one that the device has a model of");
    }
    if ((rc = snapshots_current(service->snapshots, space, device, &snapshot, err))) {
        return rc;
    }
    if (snapshot.devices.n != 1 || !snapshot.latency[0] || !snapshot.family) {
        return tl_fail(err, TL_NOT_FOUND, "%s has no latency model of %s; POST /jobs profiles a device", device, space);
    }
    if ((rc = write_table(request, &snapshot, response, err))) {
        return rc;
    }
    response->content_type = "application/yaml";
    (void)snprintf(response->file_name, sizeof response->file_name, "%s-%s.yaml", device, space);
    routes_etag(response);
    return TL_OK;
}
