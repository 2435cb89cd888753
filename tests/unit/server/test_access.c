/* Tokens in memory; over HTTP they are shown by http.access. */
#include "agent_folder.h"
#include "alloc_fail.h"
#include "server/access.h"

static int store_make(void **state)
{
    void *folder = NULL;
    struct store *store = NULL;
    assert_int_equal(folder_make(&folder), 0);
    assert_int_equal(store_open(folder, NULL, &store, NULL), TL_OK);
    free(folder); /* store_dir has it */
    *state = store;
    return 0;
}

static int store_remove(void **state)
{
    char path[FOLDER_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", store_dir(*state));
    store_close(*state);
    folder_clear(path);
    return 0;
}

/* Load the tokens, add one, and load them again. */
static enum tl_rc use(void *ctx, struct tl_err *err)
{
    struct access *access = NULL;
    const struct store_token token = {.kind = "client", .label = "me"};
    char secret[TL_SECRET_TEXT];
    int64_t id = 0;
    enum tl_rc rc = access_new(ctx, false, &access, err);
    rc = rc ? rc : access_add(access, &token, &id, secret, err);
    access_free(access);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    for (int i = 0; i < 20; i++) { /* more than there is room for at first */
        assert_int_equal(use(*state, NULL), TL_OK);
    }
    assert_true(alloc_fail_each(use, *state) >= 5);
}

static void a_token_of_an_earlier_run_counts(void **state)
{
    struct access *access = NULL;
    struct tl_err err = {0};
    assert_int_equal(access_new(*state, true, &access, &err), TL_INVALID);
    assert_int_equal(use(*state, NULL), TL_OK);
    assert_int_equal(access_new(*state, true, &access, NULL), TL_OK);
    assert_int_equal(access_revoke(access, 1, NULL), TL_CONFLICT); /* the last one */
    assert_int_equal(access_revoke(access, 7, NULL), TL_NOT_FOUND);
    access_free(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, store_make, store_remove),
        cmocka_unit_test_setup_teardown(a_token_of_an_earlier_run_counts, store_make, store_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
