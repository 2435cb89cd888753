/* What is acknowledged is there: after SIGKILL at seeded moments, and after the power went, which takes with it every
 * write that was not synced (vfs_lossy.h). After each crash the store is opened as usual on what is left. */
#include "store/vfs_lossy.h"
#include "unit/storage/fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum {
    THREADS = 4,
    ROUNDS = 20,
    ID_BYTES = 24,
    IDS_MAX = 100000,
    BODY_BYTES = 900, /* a few rows a page, so that a commit is several pages */
};

static const uint64_t SEED = 20;

/* Ids whose store_write returned TL_OK. */
struct acknowledged {
    char (*ids)[ID_BYTES]; /* owned, IDS_MAX of them */
    size_t n;
};

/* ---- writing until the end ----------------------------------------------------------------------------------- */

struct client {
    struct store *store;
    int out; /* acknowledged ids go here, ID_BYTES each */
    int round;
    int number;
    pthread_t thread;
};

static enum tl_rc put_pi(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)ctx;
    const struct store_device device = {.name = "pi"};
    return store_device_put(tx, &device, err);
}

/* Checkpoint often, so that crashes fall into checkpoints and restarts of the log too. */
static enum tl_rc checkpoint_often(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)ctx;
    return store_tx_script(tx, "PRAGMA wal_autocheckpoint = 25", err);
}

static enum tl_rc put_measurement(struct store_tx *tx, void *id, struct tl_err *err)
{
    static const char body[BODY_BYTES];
    const struct store_measurement measurement = {
        .id = id, .device = "pi", .subject = id, .body_hash = id, .body = {body, BODY_BYTES}};
    bool is_new = false;
    return store_measurement_put(tx, &measurement, &is_new, err);
}

/* Until the store fails; a killed process does not come that far. */
static void *write_on(void *arg)
{
    const struct client *client = arg;
    for (int i = 0;; i++) {
        char id[ID_BYTES] = {0};
        snprintf(id, sizeof id, "%d-%d-%d", client->round, client->number, i);
        if (store_write(client->store, put_measurement, id, NULL)) {
            return NULL;
        }
        if (write(client->out, id, sizeof id) != (ssize_t)sizeof id) {
            return NULL;
        }
    }
}

/* Open the store and write to it from several threads until it fails. */
static void write_until_the_end(const char *dir, const char *vfs, int out, int round)
{
    struct store *store = NULL;
    if (store_open(dir, vfs, &store, NULL)) {
        return;
    }
    struct client clients[THREADS];
    if (store_write(store, put_pi, NULL, NULL) == TL_OK && store_write(store, checkpoint_often, NULL, NULL) == TL_OK) {
        for (int i = 0; i < THREADS; i++) {
            clients[i] = (struct client){.store = store, .out = out, .round = round, .number = i};
            pthread_create(&clients[i].thread, NULL, write_on, &clients[i]);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(clients[i].thread, NULL);
        }
    }
    store_close(store);
}

/* ---- what must hold afterwards ------------------------------------------------------------------------------- */

static enum tl_rc is_whole(void *ctx, const struct store_measurement *measurement, struct tl_err *err)
{
    return strcmp(measurement->body_hash, ctx) == 0 && measurement->body.n == BODY_BYTES
               ? TL_OK
               : tl_fail(err, TL_IO, "measurement %s is not what was put", measurement->id);
}

struct range {
    const struct acknowledged *acknowledged;
    size_t from;
};

static enum tl_rc find_all(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct range *range = ctx;
    enum tl_rc rc = TL_OK;
    for (size_t i = range->from; !rc && i < range->acknowledged->n; i++) {
        char *id = range->acknowledged->ids[i];
        rc = store_measurement_get(tx, id, is_whole, id, err);
    }
    return rc;
}

static void assert_sound(const char *dir)
{
    char path[512];
    path_in(dir, "tailor.db", path);
    struct store_tx tx = {0};
    assert_ok(store_tx_open(&tx, path, NULL, false, &err));
    TL_AUTO(store_stmt) st = store_stmt_open(&tx, "PRAGMA integrity_check");
    bool row = false;
    assert_ok(store_stmt_step(&st, &row, &err));
    assert_true(row);
    assert_string_equal(store_column_text(&st, 0), "ok");
    store_stmt_done(&st);
    st = (struct store_stmt){0};
    store_tx_close(&tx);
}

/* Everything acknowledged from number `from` on is there, and the file is sound. */
static void assert_nothing_lost(const char *dir, const struct acknowledged *acknowledged, size_t from)
{
    struct store *store = NULL;
    assert_ok(store_open(dir, NULL, &store, &err));
    struct range range = {acknowledged, from};
    assert_ok(store_read(store, find_all, &range, &err));
    store_close(store);
    assert_sound(dir);
}

/* Take what has arrived in the pipe, up to `n_max` in all; blocks until there are so many or the pipe ends. */
static void collect(int in, struct acknowledged *acknowledged, size_t n_max)
{
    while (acknowledged->n < n_max) {
        char *id = acknowledged->ids[acknowledged->n];
        size_t n = 0;
        while (n < ID_BYTES) {
            ssize_t got = read(in, id + n, ID_BYTES - n);
            if (got <= 0) {
                assert_int_equal(n, 0);
                return;
            }
            n += (size_t)got;
        }
        acknowledged->n++;
    }
}

/* ---- SIGKILL ------------------------------------------------------------------------------------------------- */

static void spin_ns(int64_t ns)
{
    int64_t until_ns = tl_clock_mono_ns() + ns;
    while (tl_clock_mono_ns() < until_ns) {
    }
}

/* A process writes; some acknowledgements and a moment later it is killed. */
static void kill_one(const char *dir, const char *vfs, struct tl_rng *rng, int round, struct acknowledged *acknowledged)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        write_until_the_end(dir, vfs, ends[1], round);
        _exit(1);
    }
    close(ends[1]);
    collect(ends[0], acknowledged, acknowledged->n + 1 + tl_rng_below(rng, 60));
    spin_ns(tl_rng_below(rng, 1000000));
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    collect(ends[0], acknowledged, IDS_MAX);
    close(ends[0]);
}

static void kill_many(const char *vfs)
{
    print_message("seed %d\n", (int)SEED);
    struct folder folder;
    folder_make(&folder);
    struct acknowledged acknowledged = {.ids = calloc(IDS_MAX, ID_BYTES)};
    assert_non_null(acknowledged.ids);
    struct tl_rng rng;
    tl_rng_init(&rng, SEED, 0, vfs != NULL);
    for (int round = 0; round < ROUNDS; round++) {
        size_t from = acknowledged.n;
        kill_one(folder.path, vfs, &rng, round, &acknowledged);
        assert_nothing_lost(folder.path, &acknowledged, from);
    }
    assert_nothing_lost(folder.path, &acknowledged, 0);
    print_message("%d acknowledged writes\n", (int)acknowledged.n);
    assert_true(acknowledged.n >= ROUNDS);
    free(acknowledged.ids);
    folder_remove(folder.path);
}

static void what_a_killed_process_acknowledged_is_there(void **state)
{
    (void)state;
    kill_many(NULL);
}

static void what_a_process_acknowledged_before_the_power_went_is_there(void **state)
{
    (void)state;
    kill_many("lossy");
}

/* ---- the power goes within a call ---------------------------------------------------------------------------- */

static void *collect_all(void *arg)
{
    void *const *args = arg;
    collect(*(const int *)args[0], args[1], IDS_MAX);
    return NULL;
}

static void lose_power_once(const char *dir, struct tl_rng *rng, int round, struct acknowledged *acknowledged)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pthread_t reader;
    void *args[] = {&ends[0], acknowledged};
    assert_int_equal(pthread_create(&reader, NULL, collect_all, args), 0);
    /* Early rounds fall into the making of the store; a third loses every unsynced write, the others only some. */
    uint64_t calls = 1 + tl_rng_below(rng, round < ROUNDS ? 60 : 2000);
    vfs_lossy_crash_after(calls, tl_rng_below(rng, 3) == 0 ? 0 : tl_rng_u64(rng));
    write_until_the_end(dir, "lossy", ends[1], round);
    assert_true(vfs_lossy_calls() >= calls);
    close(ends[1]);
    pthread_join(reader, NULL);
    close(ends[0]);
    vfs_lossy_reset();
}

static void what_was_acknowledged_before_a_write_or_sync_failed_is_there(void **state)
{
    (void)state;
    print_message("seed %d\n", (int)SEED);
    struct acknowledged acknowledged = {.ids = calloc(IDS_MAX, ID_BYTES)};
    assert_non_null(acknowledged.ids);
    struct tl_rng rng;
    tl_rng_init(&rng, SEED, 1, 0);
    struct folder folder;
    size_t first = 0;
    for (int round = 0; round < 3 * ROUNDS; round++) {
        if (round <= ROUNDS) { /* each on a new store; then all on the last one */
            folder_make(&folder);
            first = acknowledged.n;
        }
        size_t from = acknowledged.n;
        lose_power_once(folder.path, &rng, round, &acknowledged);
        assert_nothing_lost(folder.path, &acknowledged, from);
        if (round < ROUNDS) {
            folder_remove(folder.path);
        }
    }
    assert_nothing_lost(folder.path, &acknowledged, first);
    print_message("%d acknowledged writes\n", (int)acknowledged.n);
    assert_true(acknowledged.n >= ROUNDS);
    folder_remove(folder.path);
    free(acknowledged.ids);
}

/* ---- the disk that forgets does forget ----------------------------------------------------------------------- */

static int count_rows(const char *path, const char *vfs)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void a_write_that_was_not_synced_is_lost(void **state)
{
    (void)state;
    struct folder folder;
    folder_make(&folder);
    char path[512];
    path_in(folder.path, "t.db", path);
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(path, &db, flags, "lossy"), SQLITE_OK);
    const char *synced = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                         "CREATE TABLE t (x); INSERT INTO t VALUES (1)";
    const char *unsynced = "PRAGMA synchronous = OFF; INSERT INTO t VALUES (2)";
    assert_int_equal(sqlite3_exec(db, synced, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, unsynced, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(count_rows(path, "lossy"), 2);
    vfs_lossy_crash_after(1, 0);
    assert_int_not_equal(sqlite3_exec(db, "INSERT INTO t VALUES (3)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    vfs_lossy_reset();
    assert_int_equal(count_rows(path, NULL), 1);
    folder_remove(folder.path);
}

int main(void)
{
    vfs_lossy_register();
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_was_not_synced_is_lost),
        cmocka_unit_test(what_a_killed_process_acknowledged_is_there),
        cmocka_unit_test(what_a_process_acknowledged_before_the_power_went_is_there),
        cmocka_unit_test(what_was_acknowledged_before_a_write_or_sync_failed_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
