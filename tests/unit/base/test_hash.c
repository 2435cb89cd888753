/* Content hashes and identifiers. */
#include "base/base.h"

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

static void hashes_are_blake2b_of_128_bits(void **state)
{
    (void)state;
    /* hashlib.blake2b(b"abc", digest_size=16) of Python, and of nothing */
    char text[TL_HASH_TEXT];
    struct tl_hash hash = tl_hash_of("abc", 3);
    tl_hash_format(&hash, text);
    assert_string_equal(text, "cf4ab791c62b8d2b2109c90275287816");
    hash = tl_hash_of(NULL, 0);
    tl_hash_format(&hash, text);
    assert_string_equal(text, "cae66941d9efbd404e4d88758ea67670");
}

static void two_strings_hash_as_one_stream(void **state)
{
    (void)state;
    struct tl_hash whole = tl_hash_of("abcdef", 6);
    for (size_t n = 0; n <= 6; n++) {
        struct tl_hash halves = tl_hash_of2("abcdef", n, &"abcdef"[n], 6 - n);
        assert_true(tl_hash_equal(&whole, &halves));
    }
    struct tl_hash other = tl_hash_of("abcdeg", 6);
    assert_false(tl_hash_equal(&whole, &other));
}

static void a_hash_survives_being_text(void **state)
{
    (void)state;
    struct tl_hash hash = tl_hash_of("x", 1), back = {{0}};
    char text[TL_HASH_TEXT];
    tl_hash_format(&hash, text);
    assert_int_equal(strlen(text), 32);
    assert_true(tl_hash_parse(text, &back));
    assert_true(tl_hash_equal(&hash, &back));
}

static void only_32_lower_case_digits_are_a_hash(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "c",
        "cf4ab791c62b8d2b2109c9027528781",
        "cf4ab791c62b8d2b2109c902752878166",
        "CF4ab791c62b8d2b2109c90275287816",
        "cf4ab791c62b8d2b2109c9027528781g",
        " f4ab791c62b8d2b2109c90275287816",
        "0xf4ab791c62b8d2b2109c902752878",
    };
    struct tl_hash before = tl_hash_of("before", 6), hash = before;
    for (size_t i = 0; i < TL_COUNT_OF(wrong); i++) {
        assert_false(tl_hash_parse(wrong[i], &hash));
        assert_true(tl_hash_equal(&hash, &before));
    }
}

static void uuids_sort_by_creation_and_never_repeat(void **state)
{
    (void)state;
    char last[TL_UUID_TEXT] = "";
    for (int i = 0; i < 10000; i++) {
        char text[TL_UUID_TEXT];
        tl_uuid(text);
        assert_true(tl_uuid_valid(text));
        assert_int_equal(text[14], '7');
        assert_non_null(strchr("89ab", text[19]));
        assert_true(strcmp(text, last) > 0);
        memcpy(last, text, sizeof last);
    }
}

/* The first 12 digits are milliseconds since 1970. */
static void a_uuid_tells_when_it_was_made(void **state)
{
    (void)state;
    int64_t before_ms = tl_clock_wall_ns() / 1000000;
    char text[TL_UUID_TEXT];
    tl_uuid(text);
    int64_t after_ms = tl_clock_wall_ns() / 1000000;
    int64_t made_ms = 0;
    for (const char *c = text; c < text + 13; c++) {
        if (*c != '-') {
            made_ms = made_ms * 16 + (*c <= '9' ? *c - '0' : *c - 'a' + 10);
        }
    }
    assert_true(made_ms >= before_ms && made_ms <= after_ms + 1);
}

enum { THREADS = 4, EACH = 500 };

static void *make_uuids(void *arg)
{
    char(*texts)[TL_UUID_TEXT] = arg;
    for (int i = 0; i < EACH; i++) {
        tl_uuid(texts[i]);
    }
    return NULL;
}

static void threads_never_make_the_same_uuid(void **state)
{
    (void)state;
    static char texts[THREADS][EACH][TL_UUID_TEXT];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, make_uuids, texts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    /* the time part alone is different for all: compare the 15 digits with their dashes */
    for (int i = 0; i < THREADS * EACH; i++) {
        for (int j = 0; j < i; j++) {
            assert_true(memcmp(texts[i / EACH][i % EACH], texts[j / EACH][j % EACH], 18) != 0);
        }
    }
}

static void only_the_plain_form_is_a_uuid(void **state)
{
    (void)state;
    assert_true(tl_uuid_valid("0190163d-8694-739b-aea5-966c26f8ad91"));
    assert_true(tl_uuid_valid("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));
    static const char *const wrong[] = {
        "",
        "0190163d-8694-739b-aea5-966c26f8ad9",
        "0190163d-8694-739b-aea5-966c26f8ad911",
        "0190163D-8694-739b-aea5-966c26f8ad91",
        "0190163d08694-739b-aea5-966c26f8ad91",
        "0190163d-8694-739b-aea5-966c26f8ad9g",
        "{190163d-8694-739b-aea5-966c26f8ad91",
        "../../../../../etc/passwd-----------",
    };
    for (size_t i = 0; i < TL_COUNT_OF(wrong); i++) {
        assert_false(tl_uuid_valid(wrong[i]));
    }
}

static void a_secret_is_new_every_time_and_its_digest_is_blake2b_of_256_bits(void **state)
{
    (void)state;
    char a[TL_SECRET_TEXT], b[TL_SECRET_TEXT], digest[TL_DIGEST_TEXT];
    tl_secret(a);
    tl_secret(b);
    assert_string_not_equal(a, b);
    assert_memory_equal(a, "tlr_", 4);
    assert_int_equal(strlen(a), TL_SECRET_TEXT - 1);
    assert_int_equal(strspn(a + 4, "0123456789abcdef"), 64);
    /* hashlib.blake2b(b"abc", digest_size=32) of Python */
    tl_secret_digest("abc", digest);
    assert_string_equal(digest, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_blake2b_of_128_bits),
        cmocka_unit_test(a_secret_is_new_every_time_and_its_digest_is_blake2b_of_256_bits),
        cmocka_unit_test(two_strings_hash_as_one_stream),
        cmocka_unit_test(a_hash_survives_being_text),
        cmocka_unit_test(only_32_lower_case_digits_are_a_hash),
        cmocka_unit_test(a_uuid_tells_when_it_was_made),
        cmocka_unit_test(uuids_sort_by_creation_and_never_repeat),
        cmocka_unit_test(threads_never_make_the_same_uuid),
        cmocka_unit_test(only_the_plain_form_is_a_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
