/* data.h - public data sets, which lie outside the repository: $TAILOR_DATA, by default ../shared/data beside it.
 *
 * A test that needs one is skipped, with a sentence, where it is absent.
 */
#ifndef TAILOR_TESTS_DATA_H
#define TAILOR_TESTS_DATA_H

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DATA_PATH_MAX = 512 };

/* The path of a file or folder of the data sets; skips the running cmocka test when it is not there. */
static inline void data_path(const char *name, char ret_path[DATA_PATH_MAX])
{
    const char *root = getenv("TAILOR_DATA"); /* NOLINT(concurrency-mt-unsafe): tests set no variables */

    (void)snprintf(ret_path, DATA_PATH_MAX, "%s/%s", root ? root : "../shared/data", name);
    if (access(ret_path, R_OK) != 0) {
        print_message("skipped: %s is not there (set TAILOR_DATA to the folder of public data)\n", ret_path);
        skip();
    }
}

#endif
