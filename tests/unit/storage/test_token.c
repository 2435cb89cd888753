#include "fixture.h"

static int64_t add(struct store_tx *tx, const char *kind, const char *device, const char *digest)
{
    const struct store_token token = {
        .kind = kind, .device = device, .label = "of a test", .digest = digest, .created_ns = 5, .revoked_ns = 9};
    int64_t id = 0;
    assert_ok(store_token_add(tx, &token, &id, &err));
    return id;
}

static enum tl_rc see_token(void *ctx, const struct store_token *token, struct tl_err *err)
{
    return see(ctx, token->digest, err);
}

static enum tl_rc is_as_added(void *ctx, const struct store_token *token, struct tl_err *err)
{
    (void)err;
    assert_int_equal(token->id, *(int64_t *)ctx);
    assert_string_equal(token->kind, "agent");
    assert_string_equal(token->device, "unborn");
    assert_string_equal(token->label, "of a test");
    assert_string_equal(token->digest, "d1");
    assert_int_equal(token->created_ns, 5);
    assert_int_equal(token->registered_ns, 0);
    assert_int_equal(token->revoked_ns, 0);
    return TL_OK;
}

static void a_token_comes_back_as_it_was_added_and_is_valid(void **state)
{
    struct store_tx *tx = *state;
    int64_t id = add(tx, "agent", "unborn", "d1");
    assert_ok(store_token_list(tx, ALL_ROWS, is_as_added, &id, &err));
}

static void a_digest_stands_for_one_token(void **state)
{
    struct store_tx *tx = *state;
    const struct store_token again = {.kind = "client", .digest = "d1"}, odd = {.kind = "king", .digest = "d2"};
    int64_t id = 0;
    add(tx, "agent", "pi", "d1");
    assert_fails(TL_CONFLICT, store_token_add(tx, &again, &id, &err));
    assert_fails(TL_INVALID, store_token_add(tx, &odd, &id, &err));
}

static enum tl_rc copy_token(void *ctx, const struct store_token *token, struct tl_err *err)
{
    struct store_token *copy = ctx;
    (void)err;
    *copy = *token;
    copy->kind = copy->device = copy->label = copy->digest = NULL;
    return TL_OK;
}

static void the_first_registration_and_the_revocation_keep_their_times(void **state)
{
    struct store_tx *tx = *state;
    struct store_token token;
    bool first = false;
    int64_t id = add(tx, "agent", "pi", "d1");
    assert_ok(store_token_registered(tx, id, 7, &first, &err));
    assert_true(first);
    assert_ok(store_token_registered(tx, id, 8, &first, &err));
    assert_false(first);
    assert_ok(store_token_revoke(tx, id, 20, &err));
    assert_ok(store_token_revoke(tx, id, 21, &err));
    assert_ok(store_token_list(tx, ALL_ROWS, copy_token, &token, &err));
    assert_int_equal(token.registered_ns, 7);
    assert_int_equal(token.revoked_ns, 20);
    assert_fails(TL_NOT_FOUND, store_token_registered(tx, id, 30, &first, &err));
    assert_fails(TL_NOT_FOUND, store_token_registered(tx, 99, 30, &first, &err));
    assert_fails(TL_NOT_FOUND, store_token_revoke(tx, 99, 30, &err));
}

static void valid_ones_are_counted_by_kind_and_all_are_listed(void **state)
{
    struct store_tx *tx = *state;
    struct seen seen = {0};
    int64_t n = -1, id = add(tx, "client", "", "d1");
    add(tx, "client", "", "d2");
    add(tx, "agent", "pi", "d3");
    assert_ok(store_token_revoke(tx, id, 1, &err));
    assert_ok(store_token_count(tx, "client", &n, &err));
    assert_int_equal(n, 1);
    assert_ok(store_token_count(tx, "agent", &n, &err));
    assert_int_equal(n, 1);
    assert_ok(store_token_list(tx, ALL_ROWS, see_token, &seen, &err));
    assert_string_equal(seen.ids, "d1 d2 d3 ");
    assert_fails(TL_INVALID, store_token_list(tx, (struct store_page){.limit = 0}, see_token, &seen, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(a_token_comes_back_as_it_was_added_and_is_valid),
        bare_test(a_digest_stands_for_one_token),
        bare_test(the_first_registration_and_the_revocation_keep_their_times),
        bare_test(valid_ones_are_counted_by_kind_and_all_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
