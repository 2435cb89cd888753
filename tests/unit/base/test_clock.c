/* The clocks and the form of stored times. */
#include "base/base.h"

#include <cmocka.h>

static void times_are_rfc_3339_in_utc(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795242600123456789, "2026-11-21T06:30:00.123Z"},
        {951782399999999999, "2000-02-28T23:59:59.999Z"},
        {951782400000000000, "2000-02-29T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145Z"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        char text[TL_TIME_TEXT];
        tl_time_format(cases[i].wall_ns, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void durations_never_go_back(void **state)
{
    (void)state;
    int64_t last_ns = tl_clock_mono_ns();
    for (int i = 0; i < 10000; i++) {
        int64_t now_ns = tl_clock_mono_ns();
        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
}

static void the_wall_clock_counts_from_1970(void **state)
{
    (void)state;
    assert_true(tl_clock_wall_ns() > 1700000000LL * 1000000000LL);
}

static void sleeping_lasts_at_least_as_long_as_asked(void **state)
{
    (void)state;
    int64_t from_ns = tl_clock_mono_ns();
    tl_sleep_ns(1000000);
    assert_true(tl_clock_mono_ns() - from_ns >= 1000000);
    tl_sleep_ns(0);
    tl_sleep_ns(INT64_MIN); /* returns at once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(durations_never_go_back),
        cmocka_unit_test(the_wall_clock_counts_from_1970),
        cmocka_unit_test(sleeping_lasts_at_least_as_long_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
