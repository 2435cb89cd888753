/* The bounded buffer and the little-endian fields. */
#include "alloc_fail.h"
#include "base/base.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void text_grows_and_stays_terminated(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {.max = 5000};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tl_buf_addf(&buf, NULL, "%03d,", i), TL_OK);
        assert_int_equal(strlen(buf.data), buf.len);
    }
    assert_int_equal(buf.len, 4000);
    assert_memory_equal(buf.data + 3996, "999,", 5);
}

static void a_buffer_takes_exactly_its_limit(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {.max = 8};
    struct tl_err err = {0};
    assert_int_equal(tl_buf_add(&buf, "12345", 5, &err), TL_OK);
    assert_int_equal(tl_buf_add(&buf, "6789", 4, &err), TL_TOO_LARGE);
    assert_string_equal(err.text, "more than the limit of 8 bytes");
    assert_string_equal(buf.data, "12345");
    assert_int_equal(tl_buf_addf(&buf, NULL, "%s", "6789"), TL_TOO_LARGE);
    assert_string_equal(buf.data, "12345");
    assert_int_equal(buf.len, 5);
    assert_int_equal(tl_buf_add(&buf, "678", 3, NULL), TL_OK);
    assert_string_equal(buf.data, "12345678");
    assert_int_equal(tl_buf_add(&buf, "", 0, NULL), TL_OK);
    assert_int_equal(tl_buf_add(&buf, "9", 1, NULL), TL_TOO_LARGE);
}

static void sizes_that_would_overflow_are_too_large(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {.max = SIZE_MAX};
    assert_int_equal(tl_buf_add(&buf, "1", 1, NULL), TL_OK);
    assert_int_equal(tl_buf_add(&buf, "2", SIZE_MAX, NULL), TL_TOO_LARGE);
    assert_int_equal(tl_buf_add(&buf, "2", SIZE_MAX - 1, NULL), TL_TOO_LARGE);
    assert_string_equal(buf.data, "1");
}

static void the_limit_is_a_mebibyte_unless_said(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {0};
    char *mebibyte = calloc(1, 1 << 20);
    assert_int_equal(tl_buf_add(&buf, mebibyte, 1 << 20, NULL), TL_OK);
    assert_int_equal(tl_buf_add(&buf, mebibyte, 1, NULL), TL_TOO_LARGE);
    free(mebibyte);
}

static void taken_bytes_belong_to_the_taker(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {.max = 100};
    char *nothing = tl_buf_take(&buf);
    assert_string_equal(nothing, "");
    free(nothing);
    assert_int_equal(tl_buf_add(&buf, "abc", 3, NULL), TL_OK);
    char *taken = tl_buf_take(&buf);
    assert_string_equal(taken, "abc");
    free(taken);
    assert_int_equal(buf.len, 0);
    assert_int_equal(tl_buf_add(&buf, "d", 1, NULL), TL_OK);
    assert_string_equal(buf.data, "d");
}

static void a_cleared_buffer_keeps_its_memory(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {0};
    tl_buf_clear(&buf);
    assert_int_equal(tl_buf_add(&buf, "abc", 3, NULL), TL_OK);
    const char *before = buf.data;
    tl_buf_clear(&buf);
    assert_string_equal(buf.data, "");
    assert_int_equal(tl_buf_add(&buf, "de", 2, NULL), TL_OK);
    assert_ptr_equal(buf.data, before);
    assert_string_equal(buf.data, "de");
}

static void fields_are_little_endian_on_every_machine(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_buf_put_u32(&buf, 0x01020304, NULL), TL_OK);
    assert_int_equal(tl_buf_put_u64(&buf, 0x1122334455667788, NULL), TL_OK);
    assert_int_equal(tl_buf_put_f64(&buf, -2.0, NULL), TL_OK);
    static const uint8_t bytes[] = {4,    3,    2, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
                                    0x22, 0x11, 0, 0, 0,    0,    0,    0,    0,    0xc0};
    assert_int_equal(buf.len, sizeof bytes);
    assert_memory_equal(buf.data, bytes, sizeof bytes);

    struct tl_cursor cursor = tl_cursor_make(buf.data, buf.len);
    assert_int_equal(tl_cursor_u32(&cursor), 0x01020304);
    assert_true(tl_cursor_u64(&cursor) == 0x1122334455667788);
    assert_false(tl_cursor_ok(&cursor)); /* something is left */
    assert_true(tl_cursor_f64(&cursor) == -2.0);
    assert_true(tl_cursor_ok(&cursor));
}

static void doubles_come_back_bit_for_bit(void **state)
{
    (void)state;
    static const double values[] = {0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, INFINITY, -INFINITY, NAN};
    TL_AUTO(tl_buf) buf = {0};
    for (size_t i = 0; i < TL_COUNT_OF(values); i++) {
        assert_int_equal(tl_buf_put_f64(&buf, values[i], NULL), TL_OK);
    }
    struct tl_cursor cursor = tl_cursor_make(buf.data, buf.len);
    for (size_t i = 0; i < TL_COUNT_OF(values); i++) {
        double back = tl_cursor_f64(&cursor);
        assert_memory_equal(&back, &values[i], sizeof back);
    }
    assert_true(tl_cursor_ok(&cursor));
}

static void a_record_cut_short_is_noticed_at_every_length(void **state)
{
    (void)state;
    static const uint8_t record[16] = {1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd'};
    for (size_t n = 0; n <= sizeof record; n++) {
        struct tl_cursor cursor = tl_cursor_make(record, n);
        uint32_t one = tl_cursor_u32(&cursor);
        uint64_t two = tl_cursor_u64(&cursor);
        const char *rest = tl_cursor_bytes(&cursor, 4);
        assert_int_equal(one, n >= 4);
        assert_int_equal(two, n >= 12 ? 2 : 0);
        assert_ptr_equal(rest, n == 16 ? (const char *)record + 12 : NULL);
        assert_int_equal(tl_cursor_ok(&cursor), n == 16);
    }
}

static void a_reader_past_the_end_stays_there(void **state)
{
    (void)state;
    struct tl_cursor cursor = tl_cursor_make("abcd", 4);
    assert_null(tl_cursor_bytes(&cursor, SIZE_MAX));
    assert_int_equal(tl_cursor_u32(&cursor), 0); /* although four bytes had been left */
    assert_false(tl_cursor_ok(&cursor));

    struct tl_cursor empty = tl_cursor_make(NULL, 0);
    assert_true(tl_cursor_ok(&empty));
    (void)tl_cursor_bytes(&empty, 0);
    assert_true(tl_cursor_ok(&empty));
}

static enum tl_rc write_record(void *ctx, struct tl_err *err)
{
    (void)ctx;
    TL_AUTO(tl_buf) buf = {.max = 4096};
    enum tl_rc rc;
    for (uint64_t i = 0; i < 100; i++) {
        size_t len_before = buf.len;
        if ((rc = tl_buf_put_u64(&buf, i, err)) || (rc = tl_buf_addf(&buf, err, "%s", "text"))) {
            assert_in_range(buf.len - len_before, 0, 8);
            return rc;
        }
    }
    char *taken = tl_buf_take(&buf);
    free(taken);
    return taken ? TL_OK : tl_fail(err, TL_NO_MEMORY, "take");
}

static enum tl_rc take_nothing(void *ctx, struct tl_err *err)
{
    (void)ctx;
    TL_AUTO(tl_buf) buf = {0};
    char *taken = tl_buf_take(&buf);
    free(taken);
    return taken ? TL_OK : tl_fail(err, TL_NO_MEMORY, "take");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_in_range(alloc_fail_each(write_record, NULL), 3, 10);
    assert_int_equal(alloc_fail_each(take_nothing, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_stays_terminated),
        cmocka_unit_test(a_buffer_takes_exactly_its_limit),
        cmocka_unit_test(sizes_that_would_overflow_are_too_large),
        cmocka_unit_test(the_limit_is_a_mebibyte_unless_said),
        cmocka_unit_test(taken_bytes_belong_to_the_taker),
        cmocka_unit_test(a_cleared_buffer_keeps_its_memory),
        cmocka_unit_test(fields_are_little_endian_on_every_machine),
        cmocka_unit_test(doubles_come_back_bit_for_bit),
        cmocka_unit_test(a_record_cut_short_is_noticed_at_every_length),
        cmocka_unit_test(a_reader_past_the_end_stays_there),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
