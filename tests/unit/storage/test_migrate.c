#include "fixture.h"

/* A store that has lived through two changes of its schema. */
static const char V1[] = "PRAGMA application_id = 1413565522; PRAGMA user_version = 1;"
                         "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT NOT NULL) STRICT;";
static const char *const STEPS[] = {
    "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'new'; PRAGMA user_version = 2;",
    "CREATE TABLE b (a INTEGER NOT NULL REFERENCES a (id)) STRICT; INSERT INTO b SELECT id FROM a;"
    "PRAGMA user_version = 3;",
};
static const struct store_schema SCHEMA_1 = {.version = 1, .sql = V1};
static const struct store_schema SCHEMA_3 = {.version = 3, .sql = "SELECT 1", .steps = STEPS};

struct scene {
    struct folder folder;
    char path[512];
    char copy[512];
    struct store_tx tx;
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    folder_make(&scene->folder);
    path_in(scene->folder.path, "a.db", scene->path);
    path_in(scene->folder.path, "a.db.v1", scene->copy);
    assert_ok(store_tx_open(&scene->tx, scene->path, NULL, true, &err));
    assert_ok(store_migrate(&scene->tx, &SCHEMA_1, scene->path, &err));
    assert_ok(store_tx_script(&scene->tx, "INSERT INTO a VALUES (7, 'old')", &err));
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    store_tx_close(&scene->tx);
    folder_remove(scene->folder.path);
    free(scene);
    return 0;
}

static int64_t ask(struct store_tx *tx, const char *sql)
{
    TL_AUTO(store_stmt) st = store_stmt_open(tx, sql);
    int64_t value = -1;
    assert_ok(store_stmt_int(&st, &value, &err));
    return value;
}

static void an_older_file_is_brought_to_date_with_its_rows(void **state)
{
    struct scene *scene = *state;
    assert_ok(store_migrate(&scene->tx, &SCHEMA_3, scene->path, &err));
    assert_int_equal(ask(&scene->tx, "PRAGMA user_version"), 3);
    assert_int_equal(ask(&scene->tx, "SELECT count(*) FROM a WHERE x = 'old' AND y = 'new'"), 1);
    assert_int_equal(ask(&scene->tx, "SELECT a FROM b"), 7);
    assert_ok(store_migrate(&scene->tx, &SCHEMA_3, scene->path, &err));
}

static void a_copy_of_the_older_file_is_kept_beside_it(void **state)
{
    struct scene *scene = *state;
    assert_ok(tl_file_write(scene->copy, "half a copy", 11, &err)); /* of an attempt that was interrupted */
    assert_ok(store_migrate(&scene->tx, &SCHEMA_3, scene->path, &err));
    struct store_tx copy = {0};
    assert_ok(store_tx_open(&copy, scene->copy, NULL, false, &err));
    assert_int_equal(ask(&copy, "PRAGMA user_version"), 1);
    assert_int_equal(ask(&copy, "SELECT id FROM a"), 7);
    store_tx_close(&copy);
}

static void assert_untouched(struct scene *scene)
{
    assert_int_equal(sqlite3_get_autocommit(scene->tx.db), 1);
    assert_int_equal(ask(&scene->tx, "PRAGMA user_version"), 1);
    assert_int_equal(ask(&scene->tx, "SELECT count(*) FROM pragma_table_info('a')"), 2);
    assert_int_equal(ask(&scene->tx, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
}

static void a_step_that_fails_leaves_the_file_as_it_was(void **state)
{
    struct scene *scene = *state;
    const char *const steps[] = {STEPS[0], "CREATE TABLE b (c INTEGER) STRICT; nonsense"};
    const struct store_schema schema = {.version = 3, .sql = "", .steps = steps};
    assert_fails(TL_IO, store_migrate(&scene->tx, &schema, scene->path, &err));
    assert_untouched(scene);
}

static void a_step_that_leaves_orphans_is_undone(void **state)
{
    struct scene *scene = *state;
    const char *const steps[] = {STEPS[0], "CREATE TABLE b (a INTEGER NOT NULL REFERENCES a (id)) STRICT;"
                                           "INSERT INTO b VALUES (8); PRAGMA user_version = 3;"};
    const struct store_schema schema = {.version = 3, .sql = "", .steps = steps};
    assert_fails(TL_IO, store_migrate(&scene->tx, &schema, scene->path, &err));
    assert_untouched(scene);
}

static void a_step_that_forgets_its_version_is_undone(void **state)
{
    struct scene *scene = *state;
    const char *const steps[] = {STEPS[0], "CREATE TABLE b (a INTEGER) STRICT"};
    const struct store_schema schema = {.version = 3, .sql = "", .steps = steps};
    assert_fails(TL_IO, store_migrate(&scene->tx, &schema, scene->path, &err));
    assert_untouched(scene);
}

#define scene_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(an_older_file_is_brought_to_date_with_its_rows),
        scene_test(a_copy_of_the_older_file_is_kept_beside_it),
        scene_test(a_step_that_fails_leaves_the_file_as_it_was),
        scene_test(a_step_that_leaves_orphans_is_undone),
        scene_test(a_step_that_forgets_its_version_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
