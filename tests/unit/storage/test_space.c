/* Spaces that were brought, and files of the first schema, which knew none. */
#include "fixture.h"

static enum tl_rc see_space(void *ctx, const struct store_space *space, struct tl_err *err)
{
    assert_int_equal(space->created_ns, 3);
    assert_int_equal(space->document.n, 2);
    return see(ctx, space->name, err);
}

static bool put(struct store_tx *tx, const char *name, const char *document)
{
    const struct store_space space = {.name = name, .created_ns = 3, .document = {document, strlen(document)}};
    bool is_new = false;
    assert_ok(store_space_put(tx, &space, &is_new, &err));
    return is_new;
}

static void a_space_is_stored_once_under_its_name(void **state)
{
    struct store_tx *tx = *state;
    struct seen seen = {0};
    assert_true(put(tx, "b", "{}"));
    assert_false(put(tx, "b", "{}"));
    assert_true(put(tx, "a", "[]"));
    const struct store_space other = {.name = "b", .created_ns = 4, .document = BYTES("[]")};
    bool is_new = true;
    assert_fails(TL_CONFLICT, store_space_put(tx, &other, &is_new, &err));
    assert_ok(store_space_list(tx, ALL_ROWS, see_space, &seen, &err));
    assert_string_equal(seen.ids, "b a ");
    seen = (struct seen){0};
    assert_ok(store_space_list(tx, (struct store_page){.after = 1, .limit = 1}, see_space, &seen, &err));
    assert_string_equal(seen.ids, "a ");
}

static void a_visitor_stops_the_list(void **state)
{
    struct store_tx *tx = *state;
    struct seen seen = {.stop_at = 1};
    assert_true(put(tx, "a", "{}"));
    assert_true(put(tx, "b", "{}"));
    assert_fails(TL_BUSY, store_space_list(tx, ALL_ROWS, see_space, &seen, &err));
    assert_int_equal(seen.n, 1);
    assert_fails(TL_INVALID, store_space_list(tx, (struct store_page){.limit = 0}, see_space, &seen, &err));
}

/* ---- the first schema ------------------------------------------------------------------------------------------- */

/* All that the schema says, in one text. */
static void schema_of(struct store_tx *tx, struct tl_buf *ret_text)
{
    static const char SQL[] = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    bool row = false;
    assert_ok(store_stmt_step(&st, &row, &err));
    while (row) {
        assert_ok(tl_buf_addf(ret_text, &err, "%s %s %s\n", store_column_text(&st, 0), store_column_text(&st, 1),
                              store_column_text(&st, 2)));
        assert_ok(store_stmt_step(&st, &row, &err));
    }
}

/* A file of the first schema with a device in it, brought to date. */
static void migrate_old(struct store_tx *old, const char *path)
{
    TL_AUTO(tl_buf) script = {.max = 1 << 16};
    assert_ok(tl_file_read("tests/unit/storage/schema_1.sql", &script, &err));
    assert_ok(store_tx_open(old, path, NULL, true, &err));
    assert_ok(store_tx_script(old, script.data, &err));
    add_device(old, "board");
    assert_ok(store_migrate(old, &store_schema, path, &err));
}

static void a_file_of_the_first_schema_becomes_what_a_new_one_is(void **state)
{
    TL_AUTO(tl_buf) old_schema = {.max = 1 << 16};
    TL_AUTO(tl_buf) new_schema = {.max = 1 << 16};
    struct folder folder;
    struct store_tx old = {0};
    char path[512];
    folder_make(&folder);
    path_in(folder.path, "old.db", path);
    migrate_old(&old, path);
    assert_true(put(&old, "a", "{}"));
    assert_ok(store_device_seen(&old, "board", 9, &err));
    schema_of(&old, &old_schema);
    schema_of(*state, &new_schema);
    assert_string_equal(old_schema.data, new_schema.data);
    store_tx_close(&old);
    folder_remove(folder.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(a_space_is_stored_once_under_its_name),
        bare_test(a_visitor_stops_the_list),
        bare_test(a_file_of_the_first_schema_becomes_what_a_new_one_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
