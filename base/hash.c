/* hash.c - content hashes, identifiers and secrets, on libsodium.
 *
 * Threads: every function may be called from any thread; libsodium is initialised by the first one.
 */
#include "base/base.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void sodium_start(void)
{
    int started = sodium_init(); /* without random numbers libsodium itself aborts: it has no other way to fail */
    assert(started >= 0);
    (void)started;
}

static void sodium_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, sodium_start);
}

struct tl_hash tl_hash_of2(const void *a, size_t a_n, const void *b, size_t b_n)
{
    sodium_ready();
    struct tl_hash hash;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, TL_HASH_BYTES);
    crypto_generichash_update(&state, a, a_n);
    crypto_generichash_update(&state, b, b_n);
    crypto_generichash_final(&state, hash.bytes, TL_HASH_BYTES);
    return hash;
}

struct tl_hash tl_hash_of(const void *data, size_t n)
{
    return tl_hash_of2(data, n, NULL, 0);
}

void tl_hash_format(const struct tl_hash *hash, char ret_text[TL_HASH_TEXT])
{
    sodium_bin2hex(ret_text, TL_HASH_TEXT, hash->bytes, TL_HASH_BYTES);
}

/* The value of a lower-case hexadecimal digit, or -1. */
static int digit_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool tl_hash_parse(const char *text, struct tl_hash *ret_hash)
{
    struct tl_hash hash;
    for (size_t i = 0; i < TL_HASH_BYTES; i++) {
        int high = digit_value(text[2 * i]);
        int low = high < 0 ? -1 : digit_value(text[2 * i + 1]); /* never past the NUL */
        if (low < 0) {
            return false;
        }
        hash.bytes[i] = (uint8_t)(high * 16 + low);
    }
    if (text[TL_HASH_TEXT - 1] != '\0') {
        return false;
    }
    *ret_hash = hash;
    return true;
}

bool tl_hash_equal(const struct tl_hash *a, const struct tl_hash *b)
{
    return memcmp(a->bytes, b->bytes, TL_HASH_BYTES) == 0;
}

/* Milliseconds since 1970 times 4096, with the fraction in the low 12 bits (RFC 9562, method 3); larger than what any
 * earlier call returned, also when the clock steps back. */
static uint64_t uuid_time(void)
{
    static _Atomic uint64_t last;
    uint64_t wall_ns = (uint64_t)tl_clock_wall_ns();
    uint64_t now = (wall_ns / 1000000) << 12 | (wall_ns % 1000000) * 4096 / 1000000;
    uint64_t seen = atomic_load(&last);
    uint64_t next;
    do {
        next = now > seen ? now : seen + 1;
    } while (!atomic_compare_exchange_weak(&last, &seen, next));
    return next;
}

void tl_uuid(char ret_text[TL_UUID_TEXT])
{
    sodium_ready();
    uint64_t time = uuid_time();
    uint64_t noise;
    randombytes_buf(&noise, sizeof noise);
    snprintf(ret_text, TL_UUID_TEXT, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(time >> 28),
             (unsigned)(time >> 12 & 0xffff), (unsigned)(time & 0xfff), (unsigned)(0x8000 | (noise >> 48 & 0x3fff)),
             (unsigned long long)(noise & 0xffffffffffff));
}

bool tl_uuid_valid(const char *text)
{
    for (size_t i = 0; i < TL_UUID_TEXT - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : digit_value(text[i]) < 0) {
            return false;
        }
    }
    return text[TL_UUID_TEXT - 1] == '\0';
}

void tl_secret(char ret_text[TL_SECRET_TEXT])
{
    static const char PREFIX[] = "tlr_"; /* lets scanners for leaked secrets know one */
    unsigned char bytes[(TL_SECRET_TEXT - sizeof PREFIX) / 2];
    sodium_ready();
    randombytes_buf(bytes, sizeof bytes);
    memcpy(ret_text, PREFIX, sizeof PREFIX);
    sodium_bin2hex(ret_text + sizeof PREFIX - 1, 2 * sizeof bytes + 1, bytes, sizeof bytes);
    sodium_memzero(bytes, sizeof bytes);
}

void tl_secret_digest(const char *secret, char ret_text[TL_DIGEST_TEXT])
{
    unsigned char digest[TL_DIGEST_TEXT / 2];
    sodium_ready();
    crypto_generichash(digest, sizeof digest, (const unsigned char *)secret, strlen(secret), NULL, 0);
    sodium_bin2hex(ret_text, TL_DIGEST_TEXT, digest, sizeof digest);
}
