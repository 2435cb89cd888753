/* replay.c - runs a fuzz target over the files of a folder and over random mutations of them, without libFuzzer.
 *
 *     fuzz_NAME FOLDER MUTATIONS
 *
 * Deterministic: mutation m of file f is drawn from the stream (f, m) of one seed, the files taken by name. Each input
 * lies in a heap block of exactly its size, so that the address sanitizer sees a read beyond its end. Before each run
 * its numbers are noted, and printed when the target dies.
 */
#include "base/base.h"
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEED = 20, STEPS_MAX = 6, INPUT_MAX = 1 << 20 };

static char now_running[512];

static void tell_and_die(int number)
{
    (void)!write(STDERR_FILENO, now_running, strlen(now_running));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void run(const void *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);

    if (!exact) {
        abort();
    }
    memcpy(exact, data, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

/* Bytes and numbers that readers trip over. */
static const char *const words[] = {"0",     "-1",   "1e9",  "65536", "4294967296", "9223372036854775807",
                                    "1e308", "null", "{}",   "[]",    "\"",         "\\u",
                                    "\xff",  "[[[[", "true", ","};

/* One step: what lies at `at`, for `len` bytes, is replaced by `with`. */
static void splice(struct tl_buf *buf, size_t at, size_t len, const char *with, size_t with_n)
{
    struct tl_buf next = {.max = INPUT_MAX};

    if (tl_buf_add(&next, buf->data, at, NULL) == TL_OK && tl_buf_add(&next, with, with_n, NULL) == TL_OK &&
        tl_buf_add(&next, buf->data + at + len, buf->len - at - len, NULL) == TL_OK) {
        tl_buf_done(buf);
        *buf = next;
        return;
    }
    tl_buf_done(&next); /* too large: the step is left out */
}

static void mutate(struct tl_buf *buf, struct tl_rng *rng)
{
    const size_t at = buf->len ? tl_rng_below(rng, (uint32_t)buf->len) : 0;
    const size_t left = buf->len - at;
    const size_t len = left ? tl_rng_below(rng, (uint32_t)(left < 16 ? left : 16)) + 1 : 0;
    const char *word = words[tl_rng_below(rng, TL_COUNT_OF(words))];
    const char byte = (char)tl_rng_below(rng, 256);
    char copy[64];

    switch (tl_rng_below(rng, 6)) {
    case 0: /* a byte */
        splice(buf, at, left ? 1 : 0, &byte, 1);
        return;
    case 1: /* cut out */
        splice(buf, at, len, "", 0);
        return;
    case 2: /* cut off */
        splice(buf, at, left, "", 0);
        return;
    case 3: /* say twice */
        memcpy(copy, buf->data + at, len);
        splice(buf, at, 0, copy, len);
        return;
    case 4: /* a word between */
        splice(buf, at, 0, word, strlen(word));
        return;
    default: /* a word instead of the number or name that stands there */
        splice(buf, at, strcspn(buf->data + at, ",:]}\""), word, strlen(word));
    }
}

static void run_mutations(const char *name, const struct tl_buf *seed, uint64_t file, uint64_t n)
{
    for (uint64_t m = 0; m < n; m++) {
        struct tl_rng rng;
        TL_AUTO(tl_buf) buf = {.max = INPUT_MAX};
        tl_rng_init(&rng, SEED, file, m);
        if (tl_buf_add(&buf, seed->data, seed->len, NULL)) {
            abort();
        }
        for (uint32_t steps = tl_rng_below(&rng, STEPS_MAX) + 1; steps > 0; steps--) {
            mutate(&buf, &rng);
        }
        (void)snprintf(now_running, sizeof now_running, "died on mutation %llu of %.400s\n", (unsigned long long)m,
                       name);
        run(buf.data, buf.len);
    }
}

static bool run_file(const char *folder, const char *name, uint64_t file, uint64_t mutations)
{
    char path[512];
    TL_AUTO(tl_buf) seed = {.max = INPUT_MAX};
    struct tl_err err = {0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (tl_buf_add(&seed, "", 0, &err) || tl_file_read(path, &seed, &err)) {
        (void)fprintf(stderr, "%s: %s\n", path, err.text);
        return false;
    }
    (void)snprintf(now_running, sizeof now_running, "died on %.400s\n", name);
    run(seed.data, seed.len);
    run_mutations(name, &seed, file, mutations);
    return true;
}

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    const char *folder = argc == 3 ? argv[1] : "";
    const int n = argc == 3 ? scandir(folder, &entries, is_seed, alphasort) : -1;
    bool ok = n > 0;

    if (!ok) {
        (void)fprintf(stderr, "usage: %s FOLDER MUTATIONS; the folder \"%s\" has no files\n", argv[0], folder);
    }
    (void)signal(SIGABRT, tell_and_die);
    (void)signal(SIGSEGV, tell_and_die);
    for (int i = 0; i < n; i++) {
        ok = ok && run_file(folder, entries[i]->d_name, (uint64_t)i, strtoull(argv[2], NULL, 10));
        free(entries[i]);
    }
    free(entries);
    return ok ? 0 : 1;
}
