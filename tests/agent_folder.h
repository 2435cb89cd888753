/* agent_folder.h - a temporary folder for one test, of the agent or another. */
#ifndef TAILOR_TESTS_AGENT_FOLDER_H
#define TAILOR_TESTS_AGENT_FOLDER_H

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_PATH_MAX = 1024 };

/* cmocka setup: *state is the folder's path. */
static inline int folder_make(void **state)
{
    char *path = strdup("/tmp/tailor-agent-test-XXXXXX");
    *state = path;
    return path != NULL && mkdtemp(path) != NULL ? 0 : -1;
}

static inline void folder_clear(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        char below[FOLDER_PATH_MAX];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(below, sizeof below, "%.512s/%.255s", path, entry->d_name);
        if (lstat(below, &status) == 0 && S_ISDIR(status.st_mode)) {
            folder_clear(below); /* NOLINT(misc-no-recursion): three levels */
        } else {
            (void)unlink(below);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

static inline int folder_remove(void **state)
{
    folder_clear(*state);
    free(*state);
    return 0;
}

#endif
