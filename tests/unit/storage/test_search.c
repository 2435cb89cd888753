#include "fixture.h"

static const struct store_search FULL = {
    .id = "s9",
    .space = "ofa",
    .device = "pi",
    .state = "running",
    .outcome = "",
    .snapshot = "snap",
    .created_ns = 1,
    .updated_ns = 2,
    .finished_ns = 3,
    .evaluations = 4,
    .revision = 5,
    .spec = {"spec", 4},
    .progress = {"progress", 8},
    .checkpoint = {"check\0point", 11},
    .result = {"result", 6},
};

static void assert_bytes(struct store_bytes have, struct store_bytes want)
{
    assert_int_equal(have.n, want.n);
    assert_memory_equal(have.data, want.n ? want.data : "", want.n);
}

static void assert_same(const struct store_search *have, const struct store_search *want)
{
    assert_string_equal(have->id, want->id);
    assert_string_equal(have->space, want->space);
    assert_string_equal(have->device, want->device);
    assert_string_equal(have->state, want->state);
    assert_string_equal(have->outcome, want->outcome);
    assert_string_equal(have->snapshot, want->snapshot);
    assert_int_equal(have->created_ns, want->created_ns);
    assert_int_equal(have->updated_ns, want->updated_ns);
    assert_int_equal(have->finished_ns, want->finished_ns);
    assert_int_equal(have->evaluations, want->evaluations);
    assert_int_equal(have->revision, want->revision);
    assert_bytes(have->spec, want->spec);
    assert_bytes(have->progress, want->progress);
}

static enum tl_rc is_whole(void *ctx, const struct store_search *search, struct tl_err *err)
{
    (void)err;
    const struct store_search *want = ctx;
    assert_same(search, want);
    assert_bytes(search->checkpoint, want->checkpoint);
    assert_bytes(search->result, want->result);
    return TL_OK;
}

static enum tl_rc is_light(void *ctx, const struct store_search *search, struct tl_err *err)
{
    (void)err;
    assert_same(search, ctx);
    assert_null(search->checkpoint.data);
    assert_null(search->result.data);
    return TL_OK;
}

static enum tl_rc see_search(void *ctx, const struct store_search *search, struct tl_err *err)
{
    return see(ctx, search->id, err);
}

static void a_search_comes_back_as_it_was_inserted(void **state)
{
    struct store_search want = FULL;
    assert_ok(store_search_insert(*state, &FULL, &err));
    assert_ok(store_search_get(*state, "s9", is_whole, &want, &err));
    assert_ok(store_search_list(*state, "running", "", ALL_ROWS, is_light, &want, &err));
}

static void an_id_is_inserted_once(void **state)
{
    assert_ok(store_search_insert(*state, &FULL, &err));
    assert_fails(TL_CONFLICT, store_search_insert(*state, &FULL, &err));
}

static void a_state_outside_the_list_is_refused(void **state)
{
    struct store_search search = FULL;
    search.state = "dreaming";
    assert_fails(TL_INVALID, store_search_insert(*state, &search, &err));
}

static void an_update_replaces_what_changes_and_keeps_what_it_is_not_given(void **state)
{
    assert_ok(store_search_insert(*state, &FULL, &err));
    struct store_search update = FULL;
    update.space = "ignored";
    update.state = "verifying";
    update.outcome = "predicted";
    update.snapshot = "other";
    update.updated_ns = 20;
    update.finished_ns = 30;
    update.evaluations = 40;
    update.progress = BYTES("further");
    update.checkpoint = (struct store_bytes){0};
    update.result = BYTES("");
    assert_ok(store_search_update(*state, &update, &err));
    struct store_search want = update;
    want.space = FULL.space;
    want.revision = FULL.revision + 1;
    want.checkpoint = FULL.checkpoint;
    assert_ok(store_search_get(*state, "s9", is_whole, &want, &err));
}

static void an_update_of_a_search_that_changed_meanwhile_is_a_conflict(void **state)
{
    assert_ok(store_search_insert(*state, &FULL, &err));
    struct store_search cancel = FULL;
    cancel.state = "cancelled";
    assert_ok(store_search_update(*state, &cancel, &err));
    assert_fails(TL_CONFLICT, store_search_update(*state, &FULL, &err));
    struct store_search want = cancel;
    want.revision = 6;
    assert_ok(store_search_get(*state, "s9", is_whole, &want, &err));
    cancel.id = "nobody";
    assert_fails(TL_NOT_FOUND, store_search_update(*state, &cancel, &err));
    assert_fails(TL_NOT_FOUND, store_search_get(*state, "nobody", is_whole, NULL, &err));
}

static void assert_listed(struct store_tx *tx, const char *state, const char *device, struct store_page page,
                          const char *want)
{
    struct seen seen = {0};
    assert_ok(store_search_list(tx, state, device, page, see_search, &seen, &err));
    assert_string_equal(seen.ids, want);
}

static void searches_are_listed_newest_first_by_state_and_device(void **state)
{
    struct store_tx *tx = *state;
    add_search(tx, "s3", "queued", "pi");
    add_search(tx, "s4", "running", "tpu");
    add_search(tx, "s5", "queued", "tpu");
    assert_listed(tx, "", "", ALL_ROWS, "s5 s4 s3 s2 s1 ");
    assert_listed(tx, NULL, NULL, (struct store_page){0, 2}, "s5 s4 ");
    assert_listed(tx, "", "", (struct store_page){4, 2}, "s3 s2 ");
    assert_listed(tx, "queued", "", ALL_ROWS, "s5 s3 ");
    assert_listed(tx, "queued", "", (struct store_page){5, 9}, "s3 ");
    assert_listed(tx, "", "tpu", ALL_ROWS, "s5 s4 ");
    assert_listed(tx, "queued", "tpu", ALL_ROWS, "s5 ");
    assert_listed(tx, "queued", "tpu", (struct store_page){5, 9}, "");
    assert_listed(tx, "failed", "tpu", ALL_ROWS, "");
}

static void a_search_of_several_devices_is_listed_under_each(void **state)
{
    struct store_tx *tx = *state;
    add_search(tx, "s3", "queued", ",nano,tpu,");
    add_search(tx, "s4", "running", "tpu");
    add_search(tx, "s5", "finished", ",tpu,tpu-2,nano,");
    add_search(tx, "s6", "queued", ",tpu-2,nano,");
    assert_listed(tx, "", "tpu", ALL_ROWS, "s5 s4 s3 ");
    assert_listed(tx, "", "nano", ALL_ROWS, "s6 s5 s3 ");
    assert_listed(tx, "", "tpu-2", ALL_ROWS, "s6 s5 ");
    assert_listed(tx, "queued", "nano", ALL_ROWS, "s6 s3 ");
    assert_listed(tx, "", "tpu", (struct store_page){0, 2}, "s5 s4 ");
    assert_listed(tx, "", "tpu", (struct store_page){4, 2}, "s3 ");
    assert_listed(tx, "", "nan", ALL_ROWS, "");
}

static void the_next_search_is_the_oldest_queued_or_running_one(void **state)
{
    struct store_tx *tx = *state;
    struct seen seen = {0};
    assert_fails(TL_NOT_FOUND, store_search_next(tx, see_search, &seen, &err));
    add_search(tx, "s3", "verifying", "");
    add_search(tx, "s4", "waiting_for_device", "");
    assert_fails(TL_NOT_FOUND, store_search_next(tx, see_search, &seen, &err));
    add_search(tx, "s5", "running", "");
    add_search(tx, "s6", "queued", "");
    assert_ok(store_search_next(tx, see_search, &seen, &err));
    const struct store_search ended = {.id = "s5", .state = "failed"};
    assert_ok(store_search_update(tx, &ended, &err));
    assert_ok(store_search_next(tx, see_search, &seen, &err));
    assert_string_equal(seen.ids, "s5 s6 ");
}

struct event_list {
    struct seen seen;
    int64_t number;
};

static enum tl_rc see_event(void *ctx, const struct store_event *event, struct tl_err *err)
{
    struct event_list *list = ctx;
    assert_int_equal(event->number, ++list->number);
    assert_int_equal(event->time_ns, 100 + event->number);
    assert_bytes(event->data, BYTES("{}"));
    return see(&list->seen, event->kind, err);
}

/* To both searches. */
static void add_event(struct store_tx *tx, int64_t time_ns, const char *kind)
{
    const struct store_event event = {.time_ns = time_ns, .kind = kind, .data = BYTES("{}")};
    assert_ok(store_event_add(tx, "s1", &event, &err));
    assert_ok(store_event_add(tx, "s2", &event, &err));
}

static void events_are_numbered_from_1_within_their_search(void **state)
{
    struct store_tx *tx = *state;
    add_event(tx, 101, "state");
    add_event(tx, 102, "progress");
    add_event(tx, 103, "round");
    struct event_list all = {0};
    assert_ok(store_event_list(tx, "s2", ALL_ROWS, see_event, &all, &err));
    assert_string_equal(all.seen.ids, "state progress round ");
    struct event_list later = {.number = 1};
    assert_ok(store_event_list(tx, "s1", (struct store_page){1, 1}, see_event, &later, &err));
    assert_string_equal(later.seen.ids, "progress ");
}

static void an_event_of_no_search_is_refused(void **state)
{
    const struct store_event event = {.kind = "state"};
    assert_fails(TL_NOT_FOUND, store_event_add(*state, "nobody", &event, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(a_search_comes_back_as_it_was_inserted),
        bare_test(an_id_is_inserted_once),
        bare_test(a_state_outside_the_list_is_refused),
        bare_test(an_update_replaces_what_changes_and_keeps_what_it_is_not_given),
        bare_test(an_update_of_a_search_that_changed_meanwhile_is_a_conflict),
        bare_test(searches_are_listed_newest_first_by_state_and_device),
        bare_test(a_search_of_several_devices_is_listed_under_each),
        bare_test(the_next_search_is_the_oldest_queued_or_running_one),
        bare_test(events_are_numbered_from_1_within_their_search),
        bare_test(an_event_of_no_search_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
