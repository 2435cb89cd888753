/* codec_version.h - small documents about the server itself. */
#ifndef TAILOR_CODEC_VERSION_H
#define TAILOR_CODEC_VERSION_H

#include "base/base.h"

TL_MUST_CHECK enum tl_rc status_encode(const char *status, struct tl_buf *buf, struct tl_err *err);
/* {"name","version","sqlite","isa"} */
TL_MUST_CHECK enum tl_rc version_encode(struct tl_buf *buf, struct tl_err *err);

#endif
