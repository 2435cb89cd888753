/* The state a search keeps between steps comes back as it was, and damaged state is refused. */
#include "server/codec_search.h"
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct search_progress *filled(void)
{
    struct search_progress *p = calloc(1, sizeof(*p));

    search_progress_init(p, NULL);
    p->round = 2;
    p->corrections[0].scale = 1.0625;
    p->corrections[0].half_width = 0.015625;
    p->answer = 12;
    p->seconds = 0.5;
    p->has_ranges = true;
    p->archive_members = 4460;
    p->archive_answers = true;
    for (int m = 0; m < METRIC_COUNT; m++) {
        p->ranges[m] = (struct metric_range){(double)NAN, (double)NAN, 0, 0};
    }
    p->ranges[METRIC_MACS] = (struct metric_range){1e8, 6e8, 0, 0};
    p->together.n = 2;
    p->together.reach[0] = (struct limit_reach){{METRIC_MACS, false, 1.5e8}, 2.5e8, true};
    p->together.reach[1] = (struct limit_reach){{METRIC_ACCURACY, true, 80}, (double)NAN, false};
    memcpy(p->message, "round 2", 8);
    p->n_verifications = 2;
    for (size_t i = 0; i < 2; i++) {
        struct verification *v = &p->verifications[i];
        *v = (struct verification){.candidate = 12 + (int64_t)i,
                                   .round = 2,
                                   .predicted_ms = 4.5,
                                   .objective = 76.5,
                                   .visits = 2,
                                   .stable_visits = i,
                                   .blocks = 12 * i,
                                   .median_ms = i ? 4.25 : (double)NAN,
                                   .upper_ms = i ? 4.5 : (double)NAN,
                                   .holds = i == 1};
        memcpy(v->arch, "0123456789abcdef0123456789abcdef", 33);
    }
    return p;
}

static void progress_survives_the_store(void **state)
{
    struct search_progress *a = filled(), *b = calloc(1, sizeof(*b));
    TL_AUTO(tl_buf) text = {0};
    TL_AUTO(tl_buf) again = {0};
    struct tl_err err = {0};

    (void)state;
    assert_int_equal(search_progress_encode(a, &text, &err), TL_OK);
    assert_int_equal(search_progress_decode((struct store_bytes){text.data, text.len}, b, &err), TL_OK);
    assert_int_equal(search_progress_encode(b, &again, &err), TL_OK);
    assert_string_equal(text.data, again.data);
    assert_int_equal(b->n_verifications, 2);
    assert_true(isnan(b->verifications[0].median_ms) && b->verifications[1].holds);
    assert_true(b->corrections[0].scale == a->corrections[0].scale &&
                b->corrections[0].half_width == a->corrections[0].half_width && b->ranges[METRIC_MACS].max == 6e8);
    assert_true(isnan(b->ranges[METRIC_ACCURACY].min));
    assert_int_equal(b->together.n, 2);
    assert_true(b->together.reach[0].proved && b->together.reach[0].value == 2.5e8);
    assert_true(b->together.reach[1].limit.is_min && b->together.reach[1].limit.bound == 80);
    assert_true(isnan(b->together.reach[1].value));
    free(a);
    free(b);
}

static void several_devices_keep_what_is_known_of_each(void **state)
{
    static const struct devices devices = {.n = 2, .names = {"nano", "rack-pi"}};
    struct search_progress *a = filled(), *b = calloc(1, sizeof(*b));
    TL_AUTO(tl_buf) text = {0};
    TL_AUTO(tl_buf) again = {0};
    struct tl_err err = {0};

    (void)state;
    a->devices = devices;
    a->corrections[1] = (struct correction){1.25, 0.125};
    a->best_latency_ms[0] = 3;
    a->best_latency_ms[1] = 7;
    a->ranges[column_of(&devices, METRIC_LATENCY_MS, 1)] = (struct metric_range){2, 9, 0, 0};
    a->ranges[column_of(&devices, METRIC_ACCURACY, 0)] = (struct metric_range){70, 80, 0, 0};
    a->verifications[1].device = 1;
    a->together.reach[1].limit = (struct search_limit){METRIC_LATENCY_MS + 1, false, 5};
    assert_int_equal(search_progress_encode(a, &text, &err), TL_OK);
    assert_non_null(strstr(text.data, "\"latency_ms@rack-pi\""));
    assert_int_equal(search_progress_decode((struct store_bytes){text.data, text.len}, b, &err), TL_OK);
    assert_int_equal(search_progress_encode(b, &again, &err), TL_OK);
    assert_string_equal(text.data, again.data);
    assert_int_equal(b->devices.n, 2);
    assert_true(b->corrections[0].scale == 1.0625 && b->corrections[1].scale == 1.25);
    assert_true(b->corrections[1].half_width == 0.125 && b->best_latency_ms[0] == 3 && b->best_latency_ms[1] == 7);
    assert_true(b->ranges[METRIC_LATENCY_MS + 1].max == 9 && b->ranges[METRIC_ACCURACY + 1].max == 80);
    assert_true(isnan(b->ranges[METRIC_LATENCY_MS].max));
    assert_int_equal(b->together.reach[0].limit.metric, METRIC_MACS);
    assert_int_equal(b->together.reach[1].limit.metric, METRIC_LATENCY_MS + 1);
    assert_true(b->verifications[0].device == 0 && b->verifications[1].device == 1);
    free(a);
    free(b);
}

static void damaged_progress_is_refused(void **state)
{
    struct search_progress *p = calloc(1, sizeof(*p));
    struct tl_err err = {0};
    static const char *const damaged[] = {"{", "[]", "{}", "{\"round\":99}", "{\"round\":1,\"surprise\":1}"};

    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(damaged); i++) {
        err = (struct tl_err){0};
        assert_int_not_equal(search_progress_decode((struct store_bytes){damaged[i], strlen(damaged[i])}, p, &err),
                             TL_OK);
    }
    assert_int_equal(search_progress_decode((struct store_bytes){NULL, 0}, p, &err), TL_OK);
    assert_int_equal(p->round, 0);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_survives_the_store),
        cmocka_unit_test(several_devices_keep_what_is_known_of_each),
        cmocka_unit_test(damaged_progress_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
