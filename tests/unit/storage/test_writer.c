#include "fixture.h"

#include <pthread.h>
#include <sched.h>

enum { SMALL_QUEUE = 4 };

/* A writer with a short queue on a store in memory, and how often it has committed. */
struct scene {
    struct store_writer writer;
    int n_commits;
};

static int count_commit(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    struct store_tx *tx = &scene->writer.tx;
    assert_ok(store_tx_open(tx, ":memory:", NULL, true, &err));
    assert_ok(store_migrate(tx, &store_schema, ":memory:", &err));
    sqlite3_commit_hook(tx->db, count_commit, &scene->n_commits);
    assert_ok(store_writer_start(&scene->writer, SMALL_QUEUE, &err));
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    store_writer_stop(&scene->writer);
    free(scene);
    return 0;
}

/* ---- writes that wait in a row ------------------------------------------------------------------------------- */

/* A closure that holds the writer until it is let go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool entered;
    bool open;
};

static enum tl_rc pass_gate(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)tx;
    (void)err;
    struct gate *gate = ctx;
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->change);
    while (!gate->open) {
        pthread_cond_wait(&gate->change, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
    return TL_OK;
}

struct write {
    struct store_writer *writer;
    enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *);
    void *ctx;
    enum tl_rc rc;
    struct tl_err err;
    pthread_t thread;
};

static void *run_write(void *arg)
{
    struct write *write = arg;
    write->rc = store_writer_run(write->writer, write->fn, write->ctx, &write->err);
    return NULL;
}

static void start_write(struct write *write)
{
    assert_int_equal(pthread_create(&write->thread, NULL, run_write, write), 0);
}

static void wait_queued(struct store_writer *writer, size_t n)
{
    size_t n_now = 0;
    while (n_now != n) {
        sched_yield();
        pthread_mutex_lock(&writer->lock);
        n_now = writer->n;
        pthread_mutex_unlock(&writer->lock);
    }
}

/* Queue the writes, in this order, behind a gate; then open it and wait for all. */
static void run_as_one_group(struct scene *scene, struct write *writes, size_t n)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    struct write holder = {.writer = &scene->writer, .fn = pass_gate, .ctx = &gate};
    start_write(&holder);
    pthread_mutex_lock(&gate.lock);
    while (!gate.entered) {
        pthread_cond_wait(&gate.change, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
    for (size_t i = 0; i < n; i++) {
        writes[i].writer = &scene->writer;
        start_write(&writes[i]);
        wait_queued(&scene->writer, i + 1 < SMALL_QUEUE ? i + 1 : SMALL_QUEUE);
    }
    for (size_t i = SMALL_QUEUE; i < n; i++) {
        pthread_join(writes[i].thread, NULL); /* these were refused */
    }
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
    for (size_t i = 0; i < n && i < SMALL_QUEUE; i++) {
        pthread_join(writes[i].thread, NULL);
    }
    pthread_join(holder.thread, NULL);
    assert_int_equal(holder.rc, TL_OK);
}

/* ---- closures ------------------------------------------------------------------------------------------------ */

static char one[] = "one";
static char two[] = "two";
static char three[] = "three";

static enum tl_rc put(struct store_tx *tx, void *name, struct tl_err *err)
{
    const struct store_device device = {.name = name};
    return store_device_put(tx, &device, err);
}

static enum tl_rc put_and_fail(struct store_tx *tx, void *name, struct tl_err *err)
{
    enum tl_rc rc = put(tx, name, err);
    return rc ? rc : tl_fail(err, TL_CONFLICT, "second thoughts");
}

/* What SQLite does by itself when the disk is full. */
static enum tl_rc lose_transaction(struct store_tx *tx, void *name, struct tl_err *err)
{
    enum tl_rc rc = put(tx, name, err);
    return rc ? rc : store_tx_script(tx, "ROLLBACK", err);
}

static enum tl_rc see_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    return see(ctx, device->name, err);
}

static enum tl_rc list(struct store_tx *tx, void *seen, struct tl_err *err)
{
    return store_device_list(tx, ALL_ROWS, see_device, seen, err);
}

static void assert_devices(struct scene *scene, const char *want)
{
    struct seen seen = {0};
    assert_ok(store_writer_run(&scene->writer, list, &seen, &err));
    assert_string_equal(seen.ids, want);
}

/* ---- facts --------------------------------------------------------------------------------------------------- */

static void writes_that_wait_share_one_commit(void **state)
{
    struct scene *scene = *state;
    struct write writes[] = {{.fn = put, .ctx = one}, {.fn = put, .ctx = two}, {.fn = put, .ctx = three}};
    run_as_one_group(scene, writes, 3);
    assert_devices(scene, "one two three ");
    assert_int_equal(scene->n_commits, 3); /* the gate, the group, the list */
}

static void a_closure_that_fails_undoes_only_itself(void **state)
{
    struct scene *scene = *state;
    struct write writes[] = {{.fn = put, .ctx = one}, {.fn = put_and_fail, .ctx = two}, {.fn = put, .ctx = three}};
    run_as_one_group(scene, writes, 3);
    assert_int_equal(writes[0].rc, TL_OK);
    assert_int_equal(writes[1].rc, TL_CONFLICT);
    assert_string_equal(writes[1].err.text, "second thoughts");
    assert_int_equal(writes[2].rc, TL_OK);
    assert_int_equal(writes[2].err.rc, TL_OK);
    assert_devices(scene, "one three ");
}

static void a_group_that_is_lost_is_acknowledged_to_nobody(void **state)
{
    struct scene *scene = *state;
    struct write writes[] = {{.fn = put, .ctx = one}, {.fn = lose_transaction, .ctx = two}, {.fn = put, .ctx = three}};
    run_as_one_group(scene, writes, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(writes[i].rc, TL_IO);
        assert_int_equal(writes[i].err.rc, TL_IO);
    }
    assert_devices(scene, "");
    assert_ok(store_writer_run(&scene->writer, put, one, &err));
    assert_devices(scene, "one ");
}

static void a_full_queue_is_busy_and_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct write writes[SMALL_QUEUE + 1] = {0};
    for (size_t i = 0; i < SMALL_QUEUE; i++) {
        writes[i].fn = put;
        writes[i].ctx = one;
    }
    writes[SMALL_QUEUE].fn = put;
    writes[SMALL_QUEUE].ctx = two;
    run_as_one_group(scene, writes, SMALL_QUEUE + 1);
    for (size_t i = 0; i < SMALL_QUEUE; i++) {
        assert_int_equal(writes[i].rc, TL_OK);
    }
    assert_int_equal(writes[SMALL_QUEUE].rc, TL_BUSY);
    assert_devices(scene, "one ");
}

static enum tl_rc set_flag(struct store_tx *tx, void *flag, struct tl_err *err)
{
    (void)tx;
    (void)err;
    *(bool *)flag = true;
    return TL_OK;
}

static void stopping_runs_what_is_queued(void **state)
{
    struct scene *scene = *state;
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    struct write holder = {.writer = &scene->writer, .fn = pass_gate, .ctx = &gate};
    bool ran = false;
    struct write queued = {.writer = &scene->writer, .fn = set_flag, .ctx = &ran};
    start_write(&holder);
    pthread_mutex_lock(&gate.lock);
    while (!gate.entered) {
        pthread_cond_wait(&gate.change, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
    start_write(&queued);
    wait_queued(&scene->writer, 1);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
    store_writer_stop(&scene->writer);
    pthread_join(queued.thread, NULL);
    pthread_join(holder.thread, NULL);
    assert_int_equal(queued.rc, TL_OK);
    assert_true(ran);
}

/* ---- many threads on a real store ---------------------------------------------------------------------------- */

enum { THREADS = 16, WRITES = 40 };

struct client {
    struct store *store;
    int number;
    int n_acknowledged;
    pthread_t thread;
};

static enum tl_rc put_measurement(struct store_tx *tx, void *id, struct tl_err *err)
{
    const struct store_measurement measurement = {.id = id, .device = "pi", .body_hash = "h", .body = BYTES("{}")};
    bool is_new = false;
    enum tl_rc rc = store_measurement_put(tx, &measurement, &is_new, err);
    return !rc && !is_new ? tl_fail(err, TL_CONFLICT, "stored twice") : rc;
}

static void *write_often(void *arg)
{
    struct client *client = arg;
    for (int i = 0; i < WRITES; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d-%d", client->number, i);
        client->n_acknowledged += store_write(client->store, put_measurement, id, NULL) == TL_OK;
    }
    return NULL;
}

static enum tl_rc count_one(void *ctx, const struct store_measurement *measurement, struct tl_err *err)
{
    (void)measurement;
    (void)err;
    ++*(int *)ctx;
    return TL_OK;
}

static enum tl_rc count_measurements(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    return store_measurement_list(tx, "pi", "", "", "", "", ALL_ROWS, count_one, ctx, err);
}

static enum tl_rc put_pi(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)ctx;
    const struct store_device device = {.name = "pi"};
    return store_device_put(tx, &device, err);
}

static void every_acknowledged_write_of_many_threads_is_there(void **state)
{
    (void)state;
    struct folder folder;
    folder_make(&folder);
    struct store *store = NULL;
    assert_ok(store_open(folder.path, NULL, &store, &err));
    assert_ok(store_write(store, put_pi, NULL, &err));
    struct client clients[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.store = store, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, write_often, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].n_acknowledged, WRITES);
    }
    int n = 0;
    assert_ok(store_read(store, count_measurements, &n, &err));
    assert_int_equal(n, THREADS * WRITES);
    store_close(store);
    folder_remove(folder.path);
}

#define scene_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(writes_that_wait_share_one_commit),
        scene_test(a_closure_that_fails_undoes_only_itself),
        scene_test(a_group_that_is_lost_is_acknowledged_to_nobody),
        scene_test(a_full_queue_is_busy_and_changes_nothing),
        scene_test(stopping_runs_what_is_queued),
        cmocka_unit_test(every_acknowledged_write_of_many_threads_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
