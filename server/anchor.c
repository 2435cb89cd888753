/* anchor.c - see anchor.h. */
#include "server/anchor.h"

#include "latency/latency.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_PAGE = 500 };

/* The first stable visits of a device. */
struct reference {
    double anchor_ms[LAT_REFERENCE_VISITS];
    char jobs[LAT_REFERENCE_VISITS][TL_UUID_TEXT];
    size_t n, rows;
    int64_t last;
};

static enum tl_rc on_visit(void *ctx, const struct store_measurement *measurement, struct tl_err *err)
{
    struct reference *reference = ctx;
    (void)err;
    reference->rows++;
    reference->last = measurement->seq;
    if (strcmp(measurement->verdict, "stable") != 0 || reference->n == LAT_REFERENCE_VISITS) {
        return TL_OK;
    }
    for (size_t i = 0; i < reference->n; i++) {
        if (strcmp(reference->jobs[i], measurement->job) == 0) {
            return TL_OK;
        }
    }
    snprintf(reference->jobs[reference->n], TL_UUID_TEXT, "%s", measurement->job);
    reference->anchor_ms[reference->n++] = measurement->anchor_ms;
    return TL_OK;
}

static enum tl_rc copy_reference(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    *(double *)ctx = device->anchor_reference_ms;
    return TL_OK;
}

enum tl_rc anchor_fix(struct store_tx *tx, const char *device, struct tl_err *err)
{
    struct reference reference = {0};
    double reference_ms = 0;
    enum tl_rc rc = store_device_get(tx, device, copy_reference, &reference_ms, err);
    if (rc != TL_OK || reference_ms > 0) {
        return rc;
    }
    do {
        reference.rows = 0;
        rc = store_measurement_list(tx, device, "", "", "", "", (struct store_page){reference.last, ROWS_PAGE},
                                    on_visit, &reference, err);
    } while (rc == TL_OK && reference.rows == ROWS_PAGE && reference.n < LAT_REFERENCE_VISITS);
    reference_ms = rc == TL_OK ? lat_reference(reference.anchor_ms, reference.n) : 0;
    return reference_ms > 0 ? store_device_anchor(tx, device, reference_ms, err) : rc;
}
