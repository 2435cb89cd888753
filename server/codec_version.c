/* codec_version.c - see codec_version.h. */
#include "server/codec_version.h"

#include "base/codec_json.h"
#include "storage/storage.h"
#include "supernet/kernels/kernels.h"

enum tl_rc status_encode(const char *status, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s}", "status", status), buf, err);
}

enum tl_rc version_encode(struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s, s:s, s:s}", "name", "tailor", "version", TAILOR_VERSION, "sqlite",
                                       store_engine_version(), "isa", net_isa()),
                             buf, err);
}
