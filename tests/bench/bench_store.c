/* bench_store.c - durable puts of single measurements a second, from many threads through store_write.
 *
 *     bench_store [--dir DIR] [--threads N] [--writes N] [--body BYTES] [--rounds N] [--seed N]
 *
 * A round is N puts through the store, then as many (at most 500) on the same file as one thread makes them that commits
 * each row by itself: the peer. Both are synced before they count. The figures are medians over the rounds. The disk
 * under DIR (a fresh folder there, /tmp unless said) decides; it is removed afterwards.
 */
#include "storage/connection.h"
#include "tests/bench/bench.h"

#include <dirent.h>
#include <getopt.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256, WRITES_MAX = 1000000, BODY_MAX = 1 << 20, ROUNDS_MAX = 100, PEER_MAX = 500 };

struct options {
    const char *dir;
    unsigned threads, writes, body_bytes, rounds;
    unsigned long long seed;
};

struct client {
    struct store *store; /* borrowed */
    struct store_bytes body;
    unsigned n_writes;
    double *put_ms; /* borrowed, n_writes of them */
    pthread_t thread;
};

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_store: %s: %s\n", what, detail);
    exit(2); /* NOLINT(concurrency-mt-unsafe): the threads are waiting for nothing */
}

static void check(const char *what, enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        die(what, err->text);
    }
}

static double ms_since(int64_t from_ns)
{
    return (double)(tl_clock_mono_ns() - from_ns) * 1e-6;
}

static enum tl_rc put_device(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)ctx;
    const struct store_device device = {.name = "bench"};
    return store_device_put(tx, &device, err);
}

static enum tl_rc put_measurement(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct client *client = ctx;
    char id[TL_UUID_TEXT];
    tl_uuid(id);
    const struct store_measurement measurement = {.id = id,
                                                  .device = "bench",
                                                  .space = "ofa",
                                                  .subject = "0123456789abcdef0123456789abcdef",
                                                  .kind = "network",
                                                  .verdict = "stable",
                                                  .body_hash = id,
                                                  .body = client->body};
    bool is_new = false;
    return store_measurement_put(tx, &measurement, &is_new, err);
}

static void *put_all(void *arg)
{
    struct client *client = arg;
    for (unsigned i = 0; i < client->n_writes; i++) {
        struct tl_err err = {0};
        int64_t from_ns = tl_clock_mono_ns();
        check("put", store_write(client->store, put_measurement, client, &err), &err);
        client->put_ms[i] = ms_since(from_ns);
    }
    return NULL;
}

/* Puts a second of one round; each put's time goes to put_ms. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the clients write to put_ms */
static double run_store(const struct options *options, struct store_bytes body, double *put_ms)
{
    struct tl_err err = {0};
    struct store *store = NULL;
    check("open", store_open(options->dir, NULL, &store, &err), &err);
    check("device", store_write(store, put_device, NULL, &err), &err);
    struct client clients[THREADS_MAX];
    unsigned n_each = options->writes / options->threads;
    int64_t from_ns = tl_clock_mono_ns();
    for (unsigned i = 0; i < options->threads; i++) {
        clients[i] =
            (struct client){.store = store, .body = body, .n_writes = n_each, .put_ms = &put_ms[(size_t)i * n_each]};
        if (pthread_create(&clients[i].thread, NULL, put_all, &clients[i])) {
            die("threads", "cannot start one");
        }
    }
    for (unsigned i = 0; i < options->threads; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    double per_s = n_each * options->threads / ms_since(from_ns) * 1e3;
    store_close(store);
    return per_s;
}

static double run_peer(const struct options *options, struct store_bytes body)
{
    struct tl_err err = {0};
    TL_AUTO(tl_buf) path = {0};
    check("path", tl_buf_addf(&path, &err, "%s/tailor.db", options->dir), &err);
    static struct store_tx tx;
    check("open", store_tx_open(&tx, path.data, NULL, true, &err), &err);
    struct client client = {.body = body};
    unsigned n = options->writes < PEER_MAX ? options->writes : PEER_MAX;
    int64_t from_ns = tl_clock_mono_ns();
    for (unsigned i = 0; i < n; i++) {
        check("begin", store_tx_script(&tx, "BEGIN IMMEDIATE", &err), &err);
        check("put", put_measurement(&tx, &client, &err), &err);
        check("commit", store_tx_script(&tx, "COMMIT", &err), &err);
    }
    double per_s = n / ms_since(from_ns) * 1e3;
    store_tx_close(&tx);
    return per_s;
}

static void remove_folder(const char *path)
{
    TL_AUTO(tl_buf) inside = {0};
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread */
        tl_buf_clear(&inside);
        if (tl_buf_addf(&inside, NULL, "%s/%s", path, entry->d_name) == TL_OK && unlink(inside.data)) {
            (void)rmdir(inside.data); /* blobs, which is empty; "." and ".." refuse */
        }
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(path);
}

static unsigned char *make_body(const struct options *options)
{
    unsigned char *body = malloc(options->body_bytes);
    if (!body) {
        die("memory", "none for a body");
    }
    struct tl_rng rng;
    tl_rng_init(&rng, options->seed, 0, 0);
    for (unsigned i = 0; i < options->body_bytes; i++) {
        body[i] = (unsigned char)tl_rng_u64(&rng);
    }
    return body;
}

static void report(const struct options *options, double *store_per_s, double *peer_per_s, double *put_ms,
                   size_t n_puts)
{
    struct bench_figure figure = {.bench = "store",
                                  .name = "measurement_put",
                                  .metric = "puts_per_s",
                                  .unit = "1/s",
                                  .peer = "one_row_a_transaction",
                                  .value = bench_quantile(store_per_s, options->rounds, 0.5),
                                  .peer_value = bench_quantile(peer_per_s, options->rounds, 0.5),
                                  .threads = options->threads,
                                  .seed = options->seed};
    bench_report(&figure);
    figure.peer = NULL;
    figure.unit = "ms";
    figure.metric = "put_ms_median";
    figure.value = bench_quantile(put_ms, n_puts, 0.5);
    bench_report(&figure);
    figure.metric = "put_ms_p99";
    figure.value = bench_quantile(put_ms, n_puts, 0.99);
    bench_report(&figure);
}

static unsigned number(const char *name, const char *text, unsigned max)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 1 || value > max) {
        die(name, "not a number in range");
    }
    return (unsigned)value;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},    {"threads", required_argument, NULL, 't'},
        {"writes", required_argument, NULL, 'w'}, {"body", required_argument, NULL, 'b'},
        {"rounds", required_argument, NULL, 'r'}, {"seed", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct options options = {.dir = "/tmp", .threads = 16, .writes = 4000, .body_bytes = 8192, .rounds = 5, .seed = 1};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe) */
        switch (option) {
        case 'd':
            options.dir = optarg;
            break;
        case 't':
            options.threads = number("--threads", optarg, THREADS_MAX);
            break;
        case 'w':
            options.writes = number("--writes", optarg, WRITES_MAX);
            break;
        case 'b':
            options.body_bytes = number("--body", optarg, BODY_MAX);
            break;
        case 'r':
            options.rounds = number("--rounds", optarg, ROUNDS_MAX);
            break;
        case 's':
            options.seed = number("--seed", optarg, UINT32_MAX);
            break;
        default:
            die("usage", "[--dir DIR] [--threads N] [--writes N] [--body BYTES] [--rounds N] [--seed N]");
        }
    }
    if (options.writes < options.threads) {
        die("--writes", "fewer than threads");
    }
    return options;
}

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    TL_AUTO(tl_buf) dir = {0};
    struct tl_err err = {0};
    check("folder", tl_buf_addf(&dir, &err, "%s/tailor-bench-XXXXXX", options.dir), &err);
    if (!mkdtemp(dir.data)) {
        die("cannot make a folder in", options.dir);
    }
    options.dir = dir.data;
    unsigned char *bytes = make_body(&options);
    struct store_bytes body = {bytes, options.body_bytes};
    size_t n_round = (size_t)(options.writes / options.threads) * options.threads;
    double *put_ms = calloc(n_round * options.rounds, sizeof *put_ms);
    double store_per_s[ROUNDS_MAX];
    double peer_per_s[ROUNDS_MAX];
    for (unsigned i = 0; put_ms && i < options.rounds; i++) {
        store_per_s[i] = run_store(&options, body, put_ms + i * n_round);
        peer_per_s[i] = run_peer(&options, body);
        (void)fprintf(stderr, "round %u: %.0f puts/s, %.0f alone\n", i + 1, store_per_s[i], peer_per_s[i]);
    }
    remove_folder(options.dir);
    if (!put_ms) {
        die("memory", "none for the times");
    }
    report(&options, store_per_s, peer_per_s, put_ms, n_round * options.rounds);
    free(put_ms);
    free(bytes);
    return 0;
}
