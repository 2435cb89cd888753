/* base.h - the ground floor: what every room of Tailor stands on.
 *
 * Errors that carry a sentence and the JSON field at fault, a bounded buffer, an arena, a seeded generator whose streams
 * do not depend on who draws first, two clocks, a thread pool whose results do not depend on its size, content hashes,
 * identifiers, and files that are complete or absent.
 *
 * Threads: objects belong to one thread at a time unless a function says otherwise. tl_log, the clocks, tl_uuid and the
 * hash functions may be called from any thread.
 */
#ifndef TAILOR_BASE_H
#define TAILOR_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- results ------------------------------------------------------------------------------------------------- */

/* Why a call failed. Each value has one HTTP status (tl_rc_http). */
enum tl_rc {
    TL_OK,          /* 200 */
    TL_MALFORMED,   /* 400: not readable at all (broken JSON, truncated file) */
    TL_INVALID,     /* 422: readable, but a value is wrong; the record names the field and what would be right */
    TL_NOT_FOUND,   /* 404 */
    TL_FORBIDDEN,   /* 403: the caller is known and may not do this */
    TL_CONFLICT,    /* 409: the state or an earlier upload forbids it */
    TL_TOO_LARGE,   /* 413: over a stated limit */
    TL_BUSY,        /* 503: a bounded queue is full; try again later, nothing was changed */
    TL_UNAVAILABLE, /* 503: a peer could not be reached (a server, a network) */
    TL_IO,          /* 500: the operating system refused; `sys` holds errno */
    TL_NO_MEMORY,   /* 500 */
    TL_RC_COUNT
};

/* One failure, as text for people. Fixed size: recording a failure never fails. Start with `= {0}`. */
struct tl_err {
    enum tl_rc rc;
    int sys; /* errno, or 0 */
    int line;
    const char *file;  /* static */
    char pointer[160]; /* JSON pointer of the field at fault ("/constraints/0/max"); empty: no single field */
    char text[480];    /* one sentence: what is wrong and what would be right */
};

#define TL_MUST_CHECK     __attribute__((warn_unused_result))
#define TL_PRINTF(f, a)   __attribute__((format(printf, f, a)))
#define TL_COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Declare an object that is released when its scope ends: TL_AUTO(tl_buf) text = {0}; calls tl_buf_done(&text). */
#define TL_AUTO(type) __attribute__((cleanup(type##_done))) struct type

/* Record a failure in `err` (NULL: nowhere) and return `rc`. The first record wins: a record that is already there
 * stays. Use: return tl_fail(err, TL_CONFLICT, "search %s is %s", id, state); */
#define tl_fail(err, rc, ...) tl_fail_record((err), (rc), __FILE__, __LINE__, NULL, __VA_ARGS__)

/* The same for a value from outside; `pointer` is its JSON pointer (copied). */
#define tl_fail_at(err, rc, pointer, ...) tl_fail_record((err), (rc), __FILE__, __LINE__, (pointer), __VA_ARGS__)

/* The same for a failed system call: TL_IO with errno's text appended. */
#define tl_fail_sys(err, ...) tl_fail_record_sys((err), __FILE__, __LINE__, __VA_ARGS__)

#ifdef __clang_analyzer__ /* which cannot see that what comes back is `rc` */
#undef tl_fail
#define tl_fail(err, rc, ...) (tl_fail_record((err), (rc), __FILE__, __LINE__, NULL, __VA_ARGS__), (rc))
#endif

/* Name the file that a failure is about: "FILE: ..." in front of the sentence, unless it is named there. Returns `rc`;
 * TL_OK and err NULL: nothing happens. */
enum tl_rc tl_fail_in(struct tl_err *err, enum tl_rc rc, const char *path);

enum tl_rc tl_fail_record(struct tl_err *err, enum tl_rc rc, const char *file, int line, const char *pointer,
                          const char *format, ...) TL_PRINTF(6, 7);
enum tl_rc tl_fail_record_sys(struct tl_err *err, const char *file, int line, const char *format, ...) TL_PRINTF(4, 5);

/* The HTTP status and the short title of a result. Static text. */
int tl_rc_http(enum tl_rc rc);
const char *tl_rc_title(enum tl_rc rc);

/* The same pointer without const: to free what is owned, or for a library that takes no const and writes nothing. */
static inline void *tl_unconst(const void *pointer)
{
    const union {
        const void *from;
        void *to;
    } both = {.from = pointer};
    return both.to;
}

/* ---- log ----------------------------------------------------------------------------------------------------- */

enum tl_log_level { TL_LOG_DEBUG, TL_LOG_INFO, TL_LOG_WARNING, TL_LOG_ERROR };

/* Write one line to stderr: RFC 3339 time, level, `topic`, message; control characters are escaped, lines longer than
 * 1 KiB are cut. Only server/ and the programs' main files log; a failure is logged once. */
void tl_log(enum tl_log_level level, const char *topic, const char *format, ...) TL_PRINTF(3, 4);

/* Lines below `level` are dropped (default TL_LOG_INFO). Call before threads start. */
void tl_log_level_set(enum tl_log_level level);

/* ---- bounded buffer ------------------------------------------------------------------------------------------ */

/* Bytes that grow up to a limit. `data` is NUL-terminated whenever it is not NULL; `len` does not count the NUL.
 * Ready to use after `= {.max = N}`; max 0 means 1 MiB. */
struct tl_buf {
    char *data; /* owned */
    size_t len;
    size_t cap;
    size_t max; /* bytes; appending beyond is TL_TOO_LARGE */
};

void tl_buf_done(struct tl_buf *buf);
void tl_buf_clear(struct tl_buf *buf); /* len = 0; keeps the memory */

/* Append. On failure (TL_TOO_LARGE, TL_NO_MEMORY) the buffer is as it was. */
TL_MUST_CHECK enum tl_rc tl_buf_add(struct tl_buf *buf, const void *data, size_t n, struct tl_err *err);
TL_MUST_CHECK enum tl_rc tl_buf_addf(struct tl_buf *buf, struct tl_err *err, const char *format, ...) TL_PRINTF(3, 4);

/* The bytes, owned by the caller (free); the buffer is empty afterwards. Never NULL: an empty buffer yields "" unless
 * memory is out, then NULL. */
char *tl_buf_take(struct tl_buf *buf);

/* Little-endian fields for states and records. A reader that runs past the end stays at the end and reports it once, by
 * tl_cursor_ok. */
TL_MUST_CHECK enum tl_rc tl_buf_put_u32(struct tl_buf *buf, uint32_t value, struct tl_err *err);
TL_MUST_CHECK enum tl_rc tl_buf_put_u64(struct tl_buf *buf, uint64_t value, struct tl_err *err);
TL_MUST_CHECK enum tl_rc tl_buf_put_f64(struct tl_buf *buf, double value, struct tl_err *err);

struct tl_cursor {
    const uint8_t *at; /* borrowed */
    size_t left;
    bool failed;
};

struct tl_cursor tl_cursor_make(const void *data, size_t n);
uint32_t tl_cursor_u32(struct tl_cursor *cursor);
uint64_t tl_cursor_u64(struct tl_cursor *cursor);
double tl_cursor_f64(struct tl_cursor *cursor);
const void *tl_cursor_bytes(struct tl_cursor *cursor, size_t n); /* borrowed; NULL when fewer are left */
bool tl_cursor_ok(const struct tl_cursor *cursor);               /* nothing was missing and nothing is left */

/* ---- arena --------------------------------------------------------------------------------------------------- */

/* One block sized before work starts; taking from it never calls malloc. */
struct tl_arena {
    unsigned char *base; /* owned, 64-byte aligned */
    size_t size;
    size_t used;
};

TL_MUST_CHECK enum tl_rc tl_arena_init(struct tl_arena *arena, size_t size, struct tl_err *err);
void tl_arena_done(struct tl_arena *arena);
/* `n` zeroed bytes, 64-byte aligned, valid until tl_arena_done; NULL when the arena is full. */
void *tl_arena_take(struct tl_arena *arena, size_t n);
/* Room that one tl_arena_take(n) uses, for sizing: n rounded up to 64. */
size_t tl_arena_room(size_t n);

/* ---- seeded generator ---------------------------------------------------------------------------------------- */

/* xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64. Streams of one seed with different (a, b) are
 * independent, so work cut into (batch, slot) pieces draws the same numbers whichever thread does it. */
struct tl_rng {
    uint64_t s[4];
};

void tl_rng_init(struct tl_rng *rng, uint64_t seed, uint64_t a, uint64_t b);
uint64_t tl_rng_u64(struct tl_rng *rng);
uint32_t tl_rng_below(struct tl_rng *rng, uint32_t n); /* uniform over 0..n-1 without bias; n >= 1 */
double tl_rng_unit(struct tl_rng *rng);                /* uniform in [0, 1), 53 bits */
double tl_rng_normal(struct tl_rng *rng);              /* mean 0, variance 1 */

/* ---- time ---------------------------------------------------------------------------------------------------- */

int64_t tl_clock_mono_ns(void); /* never goes back; for durations */
int64_t tl_clock_wall_ns(void); /* since 1970, UTC; for stored times and leases */

enum { TL_TIME_TEXT = 28 };
/* RFC 3339 in UTC with milliseconds, e.g. 2026-11-21T06:30:00.123Z. */
void tl_time_format(int64_t wall_ns, char ret_text[TL_TIME_TEXT]);

/* Sleep; returns early when a signal arrives. */
void tl_sleep_ns(int64_t ns);

/* ---- thread pool --------------------------------------------------------------------------------------------- */

struct tl_pool;

/* A pool of `n_threads` in all, the caller of tl_pool_run counted in: 1 starts no thread. */
TL_MUST_CHECK enum tl_rc tl_pool_new(struct tl_pool **ret_pool, unsigned n_threads, struct tl_err *err);
void tl_pool_free(struct tl_pool *pool); /* takes NULL */
unsigned tl_pool_threads(const struct tl_pool *pool);

/* Call fn(ctx, task, thread) for every task in 0..n_tasks-1 and return when all are done. `thread` is below
 * tl_pool_threads, for scratch memory. Tasks are claimed in order by whichever thread is free; a task may not call
 * tl_pool_run on the same pool. Short waits spin, so that a network's layers can be tasks. pool NULL: runs them here. */
void tl_pool_run(struct tl_pool *pool, void (*fn)(void *ctx, size_t task, unsigned thread), void *ctx, size_t n_tasks);

/* Processors this process may run on (affinity and cgroup quota counted). At least 1. */
unsigned tl_cpu_count(void);

/* ---- content hashes and identifiers ---------------------------------------------------------------------------- */

enum { TL_HASH_BYTES = 16, TL_HASH_TEXT = 33, TL_UUID_TEXT = 37 };

/* BLAKE2b with 128 bits (libsodium). Written as 32 lower-case hexadecimal digits. */
struct tl_hash {
    uint8_t bytes[TL_HASH_BYTES];
};

struct tl_hash tl_hash_of(const void *data, size_t n);
/* Hash of two byte strings after one another, as one stream. */
struct tl_hash tl_hash_of2(const void *a, size_t a_n, const void *b, size_t b_n);
void tl_hash_format(const struct tl_hash *hash, char ret_text[TL_HASH_TEXT]);
bool tl_hash_parse(const char *text, struct tl_hash *ret_hash); /* exactly 32 lower-case digits and the NUL */
bool tl_hash_equal(const struct tl_hash *a, const struct tl_hash *b);

/* A new UUID of version 7: sorts by creation time. */
void tl_uuid(char ret_text[TL_UUID_TEXT]);
/* Lower-case 8-4-4-4-12 form of any version. */
bool tl_uuid_valid(const char *text);

/* ---- secrets -------------------------------------------------------------------------------------------------- */

enum { TL_SECRET_TEXT = 69, TL_DIGEST_TEXT = 65 };

/* A new secret: "tlr_" and 32 bytes of the operating system's generator, as hexadecimal digits. */
void tl_secret(char ret_text[TL_SECRET_TEXT]);
/* What is kept of a secret: its BLAKE2b with 256 bits (libsodium), as hexadecimal digits. A secret has more entropy than
 * can be tried, so that a slow hash would add nothing. */
void tl_secret_digest(const char *secret, char ret_text[TL_DIGEST_TEXT]);
/* Append a file that only its owner, and a group that he chose, may read (a token, a private key). As tl_file_read;
 * TL_INVALID: others may read or change it, and what to do about that; it is no regular file. */
TL_MUST_CHECK enum tl_rc tl_secret_read(const char *path, struct tl_buf *buf, struct tl_err *err);

/* ---- files --------------------------------------------------------------------------------------------------- */

/* Append the whole file to `buf`. TL_NOT_FOUND: no such file. TL_TOO_LARGE: over buf->max. */
TL_MUST_CHECK enum tl_rc tl_file_read(const char *path, struct tl_buf *buf, struct tl_err *err);

/* Make `path` hold exactly these bytes: temporary file beside it, fsync, rename, fsync of the folder. After a crash at
 * any moment the path holds the old bytes or the new ones. */
TL_MUST_CHECK enum tl_rc tl_file_write(const char *path, const void *data, size_t n, struct tl_err *err);

/* Remove durably (fsync of the folder). A missing file is TL_OK. */
TL_MUST_CHECK enum tl_rc tl_file_remove(const char *path, struct tl_err *err);

/* Create the folder and its parents (mode 0755); an existing folder is TL_OK. */
TL_MUST_CHECK enum tl_rc tl_dir_make(const char *path, struct tl_err *err);

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* The entry of names[] closest to `text` (edit distance at most a third of its length, at least 1), for "did you mean";
 * NULL when nothing is near. Borrowed from `names`. */
const char *tl_nearest(const char *text, const char *const *names, size_t n_names);

/* Names of spaces, devices and models: 1 to 64 of [a-z0-9._-], beginning with a letter or digit. */
bool tl_name_valid(const char *text);

#endif
