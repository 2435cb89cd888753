/* fixture.h - a store in a folder of its own, or a bare connection in memory on which accessors are called directly. */
#ifndef TAILOR_TESTS_STORAGE_FIXTURE_H
#define TAILOR_TESTS_STORAGE_FIXTURE_H

#include "storage/migrate.h"
#include "storage/statement.h"
#include "storage/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES(text) ((struct store_bytes){(text), sizeof(text) - 1})

static const struct store_page ALL_ROWS = {.after = 0, .limit = 1000};

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        struct tl_err err = {0};                                                                                       \
        enum tl_rc rc_ = (call);                                                                                       \
        if (rc_) {                                                                                                     \
            fail_msg("%s: %s", tl_rc_title(rc_), err.text);                                                            \
        }                                                                                                              \
    } while (0)

/* The call fails as `want`, and says so in its record. Both name the record `err`. */
#define assert_fails(want, call)                                                                                       \
    do {                                                                                                               \
        struct tl_err err = {0};                                                                                       \
        enum tl_rc rc_ = (call);                                                                                       \
        assert_int_equal(rc_, (want));                                                                                 \
        assert_int_equal(err.rc, (want));                                                                              \
        assert_true(err.text[0] != '\0');                                                                              \
    } while (0)

/* ---- folders ------------------------------------------------------------------------------------------------- */

struct folder {
    char path[64];
};

static inline void folder_make(struct folder *folder)
{
    const char *base = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): before any thread starts */
    int n = snprintf(folder->path, sizeof folder->path, "%s/tailor-store-XXXXXX", base ? base : "/tmp");
    assert_true(n > 0 && (size_t)n < sizeof folder->path);
    assert_non_null(mkdtemp(folder->path));
}

static inline void path_in(const char *dir, const char *name, char ret_path[512])
{
    int n = snprintf(ret_path, 512, "%s/%s", dir, name);
    assert_true(n > 0 && n < 512);
}

/* Two levels: the store's folder and blobs/. */
static inline void folder_remove(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread uses this DIR */
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        char inside[512];
        path_in(path, entry->d_name, inside);
        if (unlink(inside)) {
            folder_remove(inside);
        }
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(path);
}

/* ---- a bare connection --------------------------------------------------------------------------------------- */

/* The setup and teardown of a test whose *state is a struct store_tx in a write transaction on an empty store in memory,
 * with device "pi" and searches "s1" and "s2". */
static inline void add_search(struct store_tx *tx, const char *id, const char *state, const char *device)
{
    const struct store_search search = {
        .id = id, .space = "ofa", .device = device, .state = state, .created_ns = 7, .spec = BYTES("{}")};
    assert_ok(store_search_insert(tx, &search, &err));
}

static inline void add_device(struct store_tx *tx, const char *name)
{
    const struct store_device device = {.name = name, .agent_key = "k", .created_ns = 5, .info = BYTES("{}")};
    assert_ok(store_device_put(tx, &device, &err));
}

static inline int bare_setup(void **state)
{
    struct store_tx *tx = calloc(1, sizeof *tx);
    assert_non_null(tx);
    assert_ok(store_tx_open(tx, ":memory:", NULL, true, &err));
    assert_ok(store_migrate(tx, &store_schema, ":memory:", &err));
    assert_ok(store_tx_script(tx, "PRAGMA foreign_keys = ON; BEGIN IMMEDIATE", &err));
    add_device(tx, "pi");
    add_search(tx, "s1", "finished", "pi");
    add_search(tx, "s2", "finished", "pi");
    *state = tx;
    return 0;
}

static inline int bare_teardown(void **state)
{
    store_tx_close(*state);
    free(*state);
    return 0;
}

#define bare_test(name) cmocka_unit_test_setup_teardown(name, bare_setup, bare_teardown)

/* ---- what visitors saw --------------------------------------------------------------------------------------- */

/* Ids of the rows in the order they came: "a b c ". */
struct seen {
    char ids[512];
    int n;
    int stop_at; /* fail at this row; 0: never */
};

static inline enum tl_rc see(struct seen *seen, const char *id, struct tl_err *err)
{
    seen->n++;
    size_t len = strlen(seen->ids);
    snprintf(seen->ids + len, sizeof seen->ids - len, "%s ", id);
    return seen->n == seen->stop_at ? tl_fail(err, TL_BUSY, "stopped by the visitor") : TL_OK;
}

#endif
