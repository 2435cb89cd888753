/* web_empty.c - the table of a build without the page. */
#include "web/web.h"

const struct web_asset web_assets[1] = {{0}};
const size_t web_assets_count = 0;
