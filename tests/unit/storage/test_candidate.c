#include "fixture.h"

static int64_t put(struct store_tx *tx, const char *search, const char *arch, const char *role)
{
    const struct store_candidate candidate = {
        .search = search, .arch = arch, .role = role, .number = 8, .genes = BYTES("\1\0\2"), .values = BYTES("{}")};
    int64_t id = 0;
    assert_ok(store_candidate_put(tx, &candidate, &id, &err));
    assert_true(id > 0);
    return id;
}

static enum tl_rc see_candidate(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    assert_int_equal(candidate->number, 8);
    assert_int_equal(candidate->genes.n, 3);
    assert_memory_equal(candidate->genes.data, "\1\0\2", 3);
    assert_int_equal(candidate->values.n, 2);
    return see(ctx, candidate->arch, err);
}

static void assert_listed(struct store_tx *tx, const char *search, const char *role, struct store_page page,
                          const char *want)
{
    struct seen seen = {0};
    assert_ok(store_candidate_list(tx, search, role, page, see_candidate, &seen, &err));
    assert_string_equal(seen.ids, want);
}

static enum tl_rc is_verify(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    (void)err;
    assert_int_equal(candidate->id, *(int64_t *)ctx);
    assert_string_equal(candidate->search, "s1");
    assert_string_equal(candidate->role, "verify");
    return TL_OK;
}

static void a_candidate_put_again_keeps_its_id(void **state)
{
    struct store_tx *tx = *state;
    int64_t id = put(tx, "s1", "a", "front");
    int64_t other = put(tx, "s2", "a", "front");
    assert_int_not_equal(id, other);
    assert_int_equal(put(tx, "s1", "a", "verify"), id);
    assert_ok(store_candidate_get(tx, id, is_verify, &id, &err));
    assert_fails(TL_NOT_FOUND, store_candidate_get(tx, id + 100, is_verify, &id, &err));
}

static void an_id_is_never_used_again(void **state)
{
    struct store_tx *tx = *state;
    int64_t id = put(tx, "s1", "a", "front");
    assert_ok(store_candidate_clear(tx, "s1", "front", &err));
    assert_true(put(tx, "s1", "a", "front") > id);
}

static void clearing_takes_one_role_of_one_search(void **state)
{
    struct store_tx *tx = *state;
    put(tx, "s1", "a", "front");
    put(tx, "s1", "b", "sample");
    put(tx, "s2", "c", "front");
    assert_ok(store_candidate_clear(tx, "s1", "front", &err));
    assert_listed(tx, "s1", "", ALL_ROWS, "b ");
    assert_listed(tx, "s2", "", ALL_ROWS, "c ");
}

static void candidates_are_listed_by_search_and_role(void **state)
{
    struct store_tx *tx = *state;
    int64_t first = put(tx, "s1", "b", "front");
    put(tx, "s1", "a", "sample");
    put(tx, "s2", "x", "front");
    put(tx, "s1", "c", "front");
    assert_listed(tx, "s1", "", ALL_ROWS, "b a c ");
    assert_listed(tx, "s1", "", (struct store_page){first, 1}, "a ");
    assert_listed(tx, "s1", "front", ALL_ROWS, "b c ");
    assert_listed(tx, "s1", "front", (struct store_page){first, 5}, "c ");
    assert_listed(tx, "s1", "verify", ALL_ROWS, "");
}

static void a_candidate_of_no_search_is_refused(void **state)
{
    const struct store_candidate candidate = {.search = "nobody", .arch = "a", .role = "front"};
    int64_t id = -1;
    assert_fails(TL_NOT_FOUND, store_candidate_put(*state, &candidate, &id, &err));
    assert_int_equal(id, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(a_candidate_put_again_keeps_its_id),    bare_test(an_id_is_never_used_again),
        bare_test(clearing_takes_one_role_of_one_search), bare_test(candidates_are_listed_by_search_and_role),
        bare_test(a_candidate_of_no_search_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
