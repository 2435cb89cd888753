/* Archives: refused, or members that are sound and lead to the same bytes. */
/* links: tailor_evaluator */
#include "fuzz.h"
#include "server/archive.h"
#include "server/space_of_family.h"

#include <string.h>

static struct space space;

static void check(const struct archive *archive, const uint8_t *data, size_t n)
{
    TL_AUTO(tl_buf) bytes = {.max = 16 << 20};

    for (size_t i = 0; i < archive_count(archive); i++) {
        struct archive_member member;
        archive_at(archive, i, &member);
        must(space_valid(&space, member.genes));
        must(member.accuracy_half_width >= 0);
    }
    must(archive_save(archive, &bytes, NULL) == TL_OK);
    must(bytes.len == n && memcmp(bytes.data, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct archive *archive = NULL;
    struct tl_err err = {0};

    if (space.n_variables == 0) {
        must(space_of_family(net_family_get("nasbench-macro"), &space, NULL) == TL_OK);
    }
    const enum tl_rc rc = archive_load(data, n, &space, &archive, &err);
    must(rc == TL_OK || (rc == TL_MALFORMED && err.text[0] != '\0'));
    if (archive) {
        check(archive, data, n);
        archive_free(archive);
    }
    return 0;
}
