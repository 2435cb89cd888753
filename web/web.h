/* web.h - the page's files, compiled into the server.
 *
 * Bytes are gzip-compressed. A file whose name carries its content's hash is immutable and may be kept for ever by
 * browsers. Without the page (TAILOR_WEB=OFF) the table is empty.
 *
 * Threads: constants.
 */
#ifndef TAILOR_WEB_H
#define TAILOR_WEB_H

#include <stdbool.h>
#include <stddef.h>

struct web_asset {
    const char *path; /* "/index.html" */
    const char *type; /* Content-Type */
    const char *hash; /* of the bytes; makes the ETag */
    const unsigned char *data;
    size_t n;
    bool immutable;
};

extern const struct web_asset web_assets[];
extern const size_t web_assets_count; /* 0: built without the page */

#endif
