/* States from outside: truncated, changed, of another search. What is refused leaves the run as it was. */
#include "search/search.h"

#include "worlds.h"

static struct space space;

static int make_space(void **state)
{
    (void)state;
    world_flat(&space, 8, 4);
    return 0;
}

/* A run of 300 evaluations under a limit, stopped after 200. */
static struct search_run *make_run(struct world *world, struct tl_buf *saved)
{
    struct search_spec spec = world_spec("evolution", 300);
    struct tl_err err = {0};
    bool done = false;
    spec.sample_size = 20;
    world_limit(&spec, WORLD_COST, false, 12);
    world_init(world, &space);
    struct search_run *run = world_run(world, &spec, NULL);
    assert_int_equal(search_run_step(run, 200, &done, &err), TL_OK);
    world_state(run, saved);
    return run;
}

static void assert_refused(struct search_run *run, const struct tl_buf *before, const void *state, size_t n)
{
    TL_AUTO(tl_buf) after = {0};
    struct tl_err err = {0};
    enum tl_rc rc = search_run_restore(run, state, n, &err);
    assert_true(rc == TL_MALFORMED || rc == TL_CONFLICT);
    assert_int_equal(err.rc, rc);
    world_state(run, &after);
    assert_int_equal(after.len, before->len);
    assert_memory_equal(after.data, before->data, before->len);
}

static void a_truncated_state_is_refused_and_the_run_is_as_it_was(void **state)
{
    struct world world;
    TL_AUTO(tl_buf) saved = {0};
    struct search_run *run = make_run(&world, &saved);
    (void)state;
    for (size_t n = 0; n < saved.len; n++) {
        char *exact = test_malloc(n ? n : 1);
        memcpy(exact, saved.data, n);
        assert_refused(run, &saved, exact, n);
        test_free(exact);
    }
    assert_int_equal(tl_buf_add(&saved, "x", 1, NULL), TL_OK);
    struct tl_err err = {0};
    assert_int_equal(search_run_restore(run, saved.data, saved.len, &err), TL_MALFORMED);
    search_run_free(run);
}

/* Whatever one changed byte makes of a state: it is refused, or it is a state and the run goes on. */
static void a_changed_byte_never_harms(void **state)
{
    struct world world;
    TL_AUTO(tl_buf) saved = {0}, changed = {.max = 1 << 20};
    struct search_run *run = make_run(&world, &saved);
    unsigned n_refused = 0;
    (void)state;
    search_run_free(run);
    for (size_t at = 0; at < saved.len; at++) {
        struct search_spec spec = world_spec("evolution", 300);
        bool done = false;
        tl_buf_clear(&changed);
        assert_int_equal(tl_buf_add(&changed, saved.data, saved.len, NULL), TL_OK);
        changed.data[at] = (char)(changed.data[at] ^ (at % 2 ? 0x81 : 0x06));
        spec.sample_size = 20;
        world_limit(&spec, WORLD_COST, false, 12);
        run = world_run(&world, &spec, NULL);
        if (search_run_restore(run, changed.data, changed.len, NULL)) {
            n_refused++;
        } else {
            assert_int_equal(search_run_step(run, 100, &done, NULL), TL_OK);
        }
        search_run_free(run);
    }
    assert_true(n_refused > saved.len / 8);
}

/* Where things lie in a state of make_run: a row is the number, two values and eight variables. */
enum {
    ROW_BYTES = 8 + 2 * 8 + 8,
    COUNTS_AT = 4 + TL_HASH_BYTES,
    TOP_AT = COUNTS_AT + 4 * 8,
    FRONT_AT = TOP_AT + 21 * ROW_BYTES, /* behind the top and a sample of 20 */
    TAIL_BYTES = 4 + 25 * (8 + 16) + 8, /* 25 parents, seconds */
};

static void put_u64(struct tl_buf *buf, size_t at, uint64_t value)
{
    for (size_t i = 0; i < 8; i++) {
        buf->data[at + i] = (char)(value >> (8 * i));
    }
}

static void what_contradicts_itself_is_refused(void **state)
{
    struct world world;
    TL_AUTO(tl_buf) saved = {0}, bad = {0};
    struct search_run *run = make_run(&world, &saved);
    struct tl_cursor evaluations = tl_cursor_make(saved.data + COUNTS_AT + 16, 8);
    (void)state;
    assert_int_equal(tl_cursor_u64(&evaluations), 200);

    const struct {
        size_t at;
        uint64_t value;
    } changes[] = {
        {COUNTS_AT, 1},                                        /* one batch of 200 */
        {COUNTS_AT + 8, 199},                                  /* fewer proposals than evaluations */
        {COUNTS_AT + 8, 1000000},                              /* more tries than there can be */
        {COUNTS_AT + 16, 2000000000},                          /* more evaluations than a budget has */
        {COUNTS_AT + 24, 201},                                 /* more valued than evaluated */
        {TOP_AT, 200},                                         /* a number that was not given yet */
        {TOP_AT + 8, 0x7ff0000000000000},                      /* an infinite value */
        {TOP_AT + 24, 0x0404040404040404},                     /* options that are not there */
        {TOP_AT + ROW_BYTES + 24, 5},                          /* the same in the sample */
        {FRONT_AT + 4 + 8, 0x4059000000000000},                /* a member of cost 100 */
        {saved.len - TAIL_BYTES - 8, 0x7ff0000000000000},      /* an infinite best in the history */
        {saved.len - TAIL_BYTES + 4, 0x0404040404040404},      /* a parent's genes */
        {saved.len - TAIL_BYTES + 4 + 8, 0x7ff8000000000000},  /* a parent's score */
        {saved.len - TAIL_BYTES + 4 + 16, 0xbff0000000000000}, /* a parent's violation: -1 */
        {saved.len - 8, 0xbff0000000000000},                   /* seconds: -1 */
    };
    for (size_t i = 0; i < TL_COUNT_OF(changes); i++) {
        world_state(run, &bad);
        put_u64(&bad, changes[i].at, changes[i].value);
        assert_refused(run, &saved, bad.data, bad.len);
    }

    world_state(run, &bad); /* something is feasible, but the front is empty */
    size_t members = (unsigned char)bad.data[FRONT_AT] * (size_t)ROW_BYTES;
    assert_true(members > 0);
    memset(bad.data + FRONT_AT, 0, 4);
    memmove(bad.data + FRONT_AT + 4, bad.data + FRONT_AT + 4 + members, bad.len - FRONT_AT - 4 - members);
    assert_refused(run, &saved, bad.data, bad.len - members);
    search_run_free(run);
}

static void the_state_of_another_search_is_a_conflict(void **state)
{
    struct world world;
    TL_AUTO(tl_buf) saved = {0};
    struct search_run *run = make_run(&world, &saved);
    const struct search_spec same = world_spec("evolution", 300);
    struct search_spec others[4] = {same, same, same, same};
    struct tl_err err = {0};
    (void)state;
    world_limit(&others[0], WORLD_COST, false, 13);
    others[1].seed++;
    others[2].sample_size = 21;
    others[3].n_front = 1;
    for (size_t i = 0; i < TL_COUNT_OF(others); i++) {
        struct search_run *other = world_run(&world, &others[i], NULL);
        err = (struct tl_err){0};
        assert_int_equal(search_run_restore(other, saved.data, saved.len, &err), TL_CONFLICT);
        assert_int_equal(search_run_evaluations(other), 0);
        search_run_free(other);
    }
    search_run_free(run);
}

static void a_larger_budget_goes_on_where_a_smaller_one_ended(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("evolution", 300);
    struct tl_err err = {0};
    TL_AUTO(tl_buf) saved = {0};
    (void)state;
    world_init(&world, &space);
    struct search_run *brief = world_run(&world, &spec, NULL);
    world_finish(brief);
    world_state(brief, &saved);
    spec.budget_evaluations = 900;
    struct search_run *whole = world_run(&world, &spec, NULL), *longer = world_run(&world, &spec, NULL);
    world_finish(whole);
    assert_int_equal(search_run_restore(longer, saved.data, saved.len, &err), TL_OK);
    world_finish(longer);
    assert_same_state(whole, longer);
    search_run_free(brief);
    search_run_free(whole);
    search_run_free(longer);
}

static void a_restored_run_shows_what_the_saved_one_showed(void **state)
{
    struct world world;
    struct search_candidate a = {0}, b = {0};
    const struct search_point *points_a = NULL, *points_b = NULL;
    struct search_spec spec = world_spec("evolution", 300);
    struct tl_err err = {0};
    TL_AUTO(tl_buf) saved = {0};
    (void)state;
    struct search_run *run = make_run(&world, &saved);
    spec.sample_size = 20;
    world_limit(&spec, WORLD_COST, false, 12);
    struct search_run *restored = world_run(&world, &spec, NULL);
    assert_int_equal(search_run_restore(restored, saved.data, saved.len, &err), TL_OK);
    assert_true(search_run_best(run, &a) && search_run_best(restored, &b));
    assert_int_equal(a.number, b.number);
    assert_memory_equal(a.arch, b.arch, space.n_variables);
    size_t n = search_run_history(run, &points_a);
    assert_int_equal(search_run_history(restored, &points_b), n);
    assert_memory_equal(points_a, points_b, n * sizeof *points_a);
    assert_int_equal(search_run_front_count(run), search_run_front_count(restored));
    assert_int_equal(search_run_proposals(run), search_run_proposals(restored));
    assert_true(search_run_seconds(run) == search_run_seconds(restored));
    search_run_free(run);
    search_run_free(restored);
}

static void a_state_that_does_not_fit_the_buffer_leaves_it_as_it_was(void **state)
{
    struct world world;
    TL_AUTO(tl_buf) saved = {0}, tight = {.max = 700};
    struct tl_err err = {0};
    struct search_run *run = make_run(&world, &saved);
    (void)state;
    assert_int_equal(tl_buf_add(&tight, "before", 6, NULL), TL_OK);
    assert_int_equal(search_run_save(run, &tight, &err), TL_TOO_LARGE);
    assert_string_equal(tight.data, "before");
    search_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_truncated_state_is_refused_and_the_run_is_as_it_was),
        cmocka_unit_test(a_changed_byte_never_harms),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(the_state_of_another_search_is_a_conflict),
        cmocka_unit_test(a_larger_budget_goes_on_where_a_smaller_one_ended),
        cmocka_unit_test(a_restored_run_shows_what_the_saved_one_showed),
        cmocka_unit_test(a_state_that_does_not_fit_the_buffer_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
