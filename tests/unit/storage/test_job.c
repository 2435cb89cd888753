#include "fixture.h"

static void add_job(struct store_tx *tx, const char *id, const char *device, const char *search, int64_t not_before_ns)
{
    const struct store_job job = {.id = id,
                                  .device = device,
                                  .kind = strcmp(search, "") == 0 ? "profile" : "verify",
                                  .search = search,
                                  .space = "ofa",
                                  .not_before_ns = not_before_ns,
                                  .created_ns = 4,
                                  .work = BYTES("{\"w\":1}")};
    assert_ok(store_job_insert(tx, &job, &err));
}

/* What a lease call gave: "id/attempt/until", or "next N". */
struct leased {
    char text[64];
};

static enum tl_rc see_leased(void *ctx, const struct store_job *job, struct tl_err *err)
{
    (void)err;
    struct leased *leased = ctx;
    assert_string_equal(job->state, "leased");
    assert_string_equal(job->failure, "");
    assert_int_equal(job->work.n, 7);
    assert_int_equal(job->created_ns, 4);
    snprintf(leased->text, sizeof leased->text, "%s/%d/%d", job->id, (int)job->attempt, (int)job->lease_until_ns);
    return TL_OK;
}

static struct leased lease(struct store_tx *tx, const char *device, int64_t now_ns, int64_t until_ns)
{
    struct leased leased = {0};
    bool is_leased = false;
    int64_t next_ns = -1;
    assert_ok(store_job_lease(tx, device, false, now_ns, until_ns, see_leased, &leased, &is_leased, &next_ns, &err));
    assert_int_equal(is_leased, leased.text[0] != '\0');
    if (!is_leased) {
        snprintf(leased.text, sizeof leased.text, "next %d", (int)next_ns);
    } else {
        assert_int_equal(next_ns, 0);
    }
    return leased;
}

static enum tl_rc describe(void *ctx, const struct store_job *job, struct tl_err *err)
{
    (void)err;
    struct leased *text = ctx;
    snprintf(text->text, sizeof text->text, "%s %d %d %s", job->state, (int)job->attempt, (int)job->lease_until_ns,
             job->failure);
    return TL_OK;
}

static struct leased job_now(struct store_tx *tx, const char *id)
{
    struct leased text = {0};
    assert_ok(store_job_get(tx, id, describe, &text, &err));
    return text;
}

static void the_oldest_job_of_the_device_is_leased(void **state)
{
    struct store_tx *tx = *state;
    add_device(tx, "tpu");
    add_job(tx, "x", "tpu", "", 0);
    add_job(tx, "a", "pi", "", 0);
    add_job(tx, "b", "pi", "", 0);
    assert_string_equal(job_now(tx, "a").text, "queued 0 0 ");
    assert_string_equal(lease(tx, "pi", 10, 20).text, "a/1/20");
    assert_string_equal(job_now(tx, "a").text, "leased 1 20 ");
    assert_string_equal(job_now(tx, "b").text, "queued 0 0 ");
}

static void a_device_that_asks_twice_gets_the_same_lease(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "", 0);
    add_job(tx, "b", "pi", "", 0);
    assert_string_equal(lease(tx, "pi", 10, 20).text, "a/1/20");
    assert_string_equal(lease(tx, "pi", 11, 99).text, "a/1/20");
}

static void a_job_is_not_leased_before_its_time(void **state)
{
    struct store_tx *tx = *state;
    assert_string_equal(lease(tx, "pi", 10, 20).text, "next 0");
    add_job(tx, "late", "pi", "", 50);
    add_job(tx, "later", "pi", "", 40);
    assert_string_equal(lease(tx, "pi", 10, 20).text, "next 40");
    assert_string_equal(lease(tx, "pi", 39, 49).text, "next 40");
    assert_string_equal(lease(tx, "pi", 40, 60).text, "later/1/60");
    assert_ok(store_job_end(tx, "later", 1, "", &err));
    assert_string_equal(lease(tx, "pi", 50, 60).text, "late/1/60");
}

static void an_expired_lease_goes_to_whoever_asks_next_with_a_higher_attempt(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "", 0);
    assert_string_equal(lease(tx, "pi", 10, 20).text, "a/1/20");
    assert_string_equal(lease(tx, "pi", 19, 40).text, "a/1/20");
    assert_string_equal(lease(tx, "pi", 20, 40).text, "a/2/40");
    assert_fails(TL_CONFLICT, store_job_renew(tx, "a", 1, 60, &err));
    assert_fails(TL_CONFLICT, store_job_end(tx, "a", 1, "", &err));
    assert_ok(store_job_renew(tx, "a", 2, 60, &err));
    assert_string_equal(job_now(tx, "a").text, "leased 2 60 ");
}

static void a_job_leased_five_times_without_an_end_fails(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "", 0);
    for (int64_t i = 0; i < 5; i++) {
        char want[64];
        snprintf(want, sizeof want, "a/%d/%d", (int)i + 1, (int)(i + 1) * 10);
        assert_string_equal(lease(tx, "pi", i * 10, (i + 1) * 10).text, want);
    }
    assert_string_equal(lease(tx, "pi", 50, 60).text, "next 0");
    assert_string_equal(job_now(tx, "a").text, "failed 5 0 leased 5 times, and never ended");
}

static void a_job_ends_once(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "", 0);
    assert_fails(TL_CONFLICT, store_job_end(tx, "a", 0, "", &err));
    lease(tx, "pi", 10, 20);
    assert_ok(store_job_end(tx, "a", 1, "", &err));
    assert_string_equal(job_now(tx, "a").text, "done 1 0 ");
    assert_ok(store_job_end(tx, "a", 1, "", &err));
    assert_fails(TL_CONFLICT, store_job_end(tx, "a", 1, "too hot", &err));
    assert_fails(TL_CONFLICT, store_job_renew(tx, "a", 1, 30, &err));
}

static void a_job_that_failed_says_why_and_stays_failed(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "", 0);
    lease(tx, "pi", 10, 20);
    assert_ok(store_job_end(tx, "a", 1, "too hot", &err));
    assert_string_equal(job_now(tx, "a").text, "failed 1 0 too hot");
    assert_ok(store_job_end(tx, "a", 1, "too hot", &err));
    assert_fails(TL_CONFLICT, store_job_end(tx, "a", 1, "", &err));
}

static void a_late_end_counts_while_nobody_else_has_the_job(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "", 0);
    add_job(tx, "b", "pi", "", 0);
    lease(tx, "pi", 10, 20);
    assert_ok(store_tx_script(tx, "UPDATE job SET state = 'queued', lease_until_ns = 0 WHERE id = 'a'", &err));
    assert_ok(store_job_end(tx, "a", 1, "", &err));
    assert_string_equal(job_now(tx, "a").text, "done 1 0 ");
    assert_string_equal(lease(tx, "pi", 30, 40).text, "b/1/40");
}

static void a_job_that_is_not_there_is_not_found(void **state)
{
    struct store_tx *tx = *state;
    struct leased text;
    assert_fails(TL_NOT_FOUND, store_job_get(tx, "nobody", describe, &text, &err));
    assert_fails(TL_NOT_FOUND, store_job_renew(tx, "nobody", 1, 2, &err));
    assert_fails(TL_NOT_FOUND, store_job_end(tx, "nobody", 1, "", &err));
    const struct store_job job = {.id = "a", .device = "nobody"};
    assert_fails(TL_NOT_FOUND, store_job_insert(tx, &job, &err));
}

static void cancelling_a_search_fails_its_open_jobs(void **state)
{
    struct store_tx *tx = *state;
    add_job(tx, "a", "pi", "s1", 0);
    add_job(tx, "b", "pi", "s1", 0);
    add_job(tx, "c", "pi", "s1", 0);
    add_job(tx, "d", "pi", "s2", 0);
    lease(tx, "pi", 10, 20);
    assert_ok(store_job_end(tx, "a", 1, "", &err));
    lease(tx, "pi", 10, 20);
    assert_ok(store_job_cancel_search(tx, "s1", "cancelled", &err));
    assert_string_equal(job_now(tx, "a").text, "done 1 0 ");
    assert_string_equal(job_now(tx, "b").text, "failed 1 0 cancelled");
    assert_string_equal(job_now(tx, "c").text, "failed 0 0 cancelled");
    assert_string_equal(job_now(tx, "d").text, "queued 0 0 ");
}

static enum tl_rc see_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    return see(ctx, job->id, err);
}

static void jobs_are_listed_by_any_filters_oldest_first(void **state)
{
    struct store_tx *tx = *state;
    add_device(tx, "tpu");
    add_job(tx, "a", "pi", "", 0);
    add_job(tx, "b", "tpu", "s1", 0);
    add_job(tx, "c", "pi", "s1", 0);
    add_job(tx, "d", "pi", "s2", 0);
    lease(tx, "pi", 10, 20);
    const struct {
        const char *device, *kind, *search, *state;
        struct store_page page;
        const char *want;
    } cases[] = {
        {"", "", "", "", ALL_ROWS, "a b c d "},     {NULL, NULL, NULL, NULL, {1, 2}, "b c "},
        {"", "profile", "", "", ALL_ROWS, "a "},    {"", "", "", "queued", ALL_ROWS, "b c d "},
        {"pi", "", "", "", ALL_ROWS, "a c d "},     {"pi", "verify", "", "", {3, 5}, "d "},
        {"pi", "", "", "queued", ALL_ROWS, "c d "}, {"pi", "", "", "queued", {3, 5}, "d "},
        {"pi", "", "", "done", ALL_ROWS, ""},       {"", "", "s1", "", ALL_ROWS, "b c "},
        {"pi", "", "s1", "queued", ALL_ROWS, "c "}, {"pi", "profile", "s1", "queued", ALL_ROWS, ""},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct seen seen = {0};
        assert_ok(store_job_list(tx, cases[i].device, cases[i].kind, cases[i].search, cases[i].state, cases[i].page,
                                 see_job, &seen, &err));
        assert_string_equal(seen.ids, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(the_oldest_job_of_the_device_is_leased),
        bare_test(a_device_that_asks_twice_gets_the_same_lease),
        bare_test(a_job_is_not_leased_before_its_time),
        bare_test(an_expired_lease_goes_to_whoever_asks_next_with_a_higher_attempt),
        bare_test(a_job_leased_five_times_without_an_end_fails),
        bare_test(a_job_ends_once),
        bare_test(a_job_that_failed_says_why_and_stays_failed),
        bare_test(a_late_end_counts_while_nobody_else_has_the_job),
        bare_test(a_job_that_is_not_there_is_not_found),
        bare_test(cancelling_a_search_fails_its_open_jobs),
        bare_test(jobs_are_listed_by_any_filters_oldest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
