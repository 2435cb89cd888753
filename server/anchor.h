/* anchor.h - the anchor's reference time: fixed once in a device's life, from its first stable visits.
 */
#ifndef TAILOR_ANCHOR_H
#define TAILOR_ANCHOR_H

#include "storage/storage.h"

/* Inside store_write, when a job of the device has ended: fix the reference (lat_reference) if it is not and there are
 * LAT_REFERENCE_VISITS stable visits by now. A job is one visit, whatever the number of its items, since they share their
 * anchor blocks; the first stable item stands for it. */
TL_MUST_CHECK enum tl_rc anchor_fix(struct store_tx *tx, const char *device, struct tl_err *err);

#endif
