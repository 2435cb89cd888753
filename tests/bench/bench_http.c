/* bench_http.c - durable uploads a second: single-measurement PUTs from keep-alive clients, through the whole server.
 *
 *     bench_http [--dir DIR] [--clients N] [--uploads N] [--runs N] [--rounds N] [--seed N]
 *
 * The server runs in this process on a port of its own, the clients are threads with libcurl. A round is N uploads of a
 * measurement with --runs timings a block, each answered after it is on the disk; then the same rows as many threads write
 * with store_write, without HTTP, JSON and judging: the peer. The figures are medians over the rounds. The disk under DIR
 * (a fresh folder there, /tmp unless said) decides; it is removed afterwards.
 */
#include "base/http_client.h"
#include "base/model/model.h"
#include "latency/codec_job.h"
#include "latency/codec_measurement.h"
#include "server/command.h"
#include "server/flow.h"
#include "server/routes.h"
#include "server/snapshots.h"
#include "server/spaces.h"
#include "tests/bench/bench.h"

#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, ROUNDS_MAX = 100, TIMED_ROUNDS = 10, ANSWER_MAX = 16 << 20 };

static const char KEY[] = "00112233445566778899aabbccddeeff";

struct options {
    const char *dir;
    int64_t clients, uploads, runs, rounds, seed;
};

struct bench {
    struct service service;
    struct options options;
    char root[64];      /* http://127.0.0.1:PORT */
    struct lat_job job; /* owned; what every measurement is of */
    struct tl_buf body; /* owned; of one measurement */
    double *upload_ms;  /* owned; of every upload of every round */
};

struct client {
    struct bench *bench;
    pthread_t thread;
    size_t n;
    double *upload_ms; /* borrowed, n of them */
};

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_http: %s: %s\n", what, detail);
    exit(2); /* NOLINT(concurrency-mt-unsafe): nothing is lost by it */
}

static void check(const char *what, enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        die(what, err->text);
    }
}

static double seconds_since(int64_t from_ns)
{
    return (double)(tl_clock_mono_ns() - from_ns) * 1e-9;
}

/* ---- the server and its device ------------------------------------------------------------------------------- */

static void server_start(struct bench *bench)
{
    struct service *service = &bench->service;
    const struct http_config config = {.host = "127.0.0.1",
                                       .connections_max = 128,
                                       .routes = routes_all,
                                       .n_routes = routes_count,
                                       .service = service};
    struct tl_err err = {0};
    check("store", store_open(bench->options.dir, NULL, &service->store, &err), &err);
    check("spaces", spaces_new(service->store, &service->spaces, &err), &err);
    check("models", snapshots_new(service->store, service->spaces, &service->snapshots, &err), &err);
    check("http", http_new(&config, &service->http, &err), &err);
    check("flow", flow_start(service, &service->flow, &err), &err);
    check("listen", http_start(service->http, &err), &err);
    (void)snprintf(bench->root, sizeof bench->root, "http://127.0.0.1:%u", http_port(service->http));
}

static void server_stop(struct bench *bench)
{
    http_stop(bench->service.http);
    flow_stop(bench->service.flow);
    http_free(bench->service.http);
    snapshots_free(bench->service.snapshots);
    spaces_free(bench->service.spaces);
    store_close(bench->service.store);
}

static void call(struct http_client *client, const char *method, const char *path, const char *body,
                 struct http_answer *answer)
{
    struct tl_err err = {0};
    check(path, http_request(client, method, path, NULL, NULL, body, strlen(body), 60, answer, &err), &err);
    if (answer->status >= 300) {
        die(path, answer->body.data);
    }
}

/* A device with a leased job. */
static void device_start(struct bench *bench)
{
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    struct tl_err err = {0};
    char body[256];
    check("client", http_client_new(&client, bench->root, ANSWER_MAX, &err), &err);
    (void)snprintf(body, sizeof body, "{\"name\":\"bench\",\"agent_key\":\"%s\"}", KEY);
    call(client, "POST", "/devices", body, &answer);
    call(client, "POST", "/jobs", "{\"kind\":\"profile\",\"device\":\"bench\",\"space\":\"ofa-mbv3-w1.0\"}", &answer);
    (void)snprintf(body, sizeof body, "{\"device\":\"bench\",\"agent_key\":\"%s\"}", KEY);
    call(client, "POST", "/jobs:lease", body, &answer);
    check("job", lat_job_decode(answer.body.data, answer.body.len, &bench->job, &err), &err);
    http_answer_done(&answer);
    http_client_free(client);
}

/* The body of a stable measurement; uploads differ in their UUID alone. */
static void make_body(struct bench *bench)
{
    size_t runs = (size_t)bench->options.runs;
    int64_t *ns = calloc((TIMED_ROUNDS + 1) * runs, sizeof *ns);
    uint16_t counts[TIMED_ROUNDS + 1];
    struct tl_err err = {0};
    struct tl_rng rng;
    if (!ns) {
        die("memory", "none for a measurement");
    }
    tl_rng_init(&rng, (uint64_t)bench->options.seed, 0, 0);
    for (size_t i = 0; i < (TIMED_ROUNDS + 1) * runs; i++) {
        ns[i] = 5000000 + tl_rng_below(&rng, 50000);
    }
    for (size_t i = 0; i < TL_COUNT_OF(counts); i++) {
        counts[i] = (uint16_t)runs;
    }
    struct lat_measurement measurement = {.attempt = bench->job.attempt,
                                          .is_block = bench->job.items[0].is_block,
                                          .visit = {TIMED_ROUNDS, counts, ns, counts, ns, 0.0, 0.0},
                                          .started = "2026-01-01T00:00:00.000Z",
                                          .duration_s = 1.0,
                                          .context = {.threads = 1, .isa = "plain", .agent = "bench"}};
    memcpy(measurement.device, "bench", sizeof "bench");
    memcpy(measurement.agent_key, KEY, sizeof KEY);
    memcpy(measurement.job, bench->job.id, sizeof measurement.job);
    memcpy(measurement.subject, bench->job.items[0].subject, sizeof measurement.subject);
    bench->body.max = 4 << 20;
    check("body", lat_measurement_encode(&measurement, &bench->body, &err), &err);
    free(ns);
}

/* ---- uploads ------------------------------------------------------------------------------------------------- */

static void *upload_all(void *arg)
{
    const struct client *self = arg;
    const struct bench *bench = self->bench;
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    struct tl_err err = {0};
    check("client", http_client_new(&client, bench->root, ANSWER_MAX, &err), &err);
    for (size_t i = 0; i < self->n; i++) {
        char id[TL_UUID_TEXT], path[96];
        tl_uuid(id);
        (void)snprintf(path, sizeof path, "/measurements/%s", id);
        int64_t from_ns = tl_clock_mono_ns();
        check("upload",
              http_request(client, "PUT", path, NULL, NULL, bench->body.data, bench->body.len, 60, &answer, &err),
              &err);
        if (answer.status != 201) {
            die("upload", answer.body.data);
        }
        self->upload_ms[i] = seconds_since(from_ns) * 1e3;
    }
    http_answer_done(&answer);
    http_client_free(client);
    return NULL;
}

static enum tl_rc put_row(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct bench *bench = ctx;
    bool is_new = false;
    char id[TL_UUID_TEXT];
    tl_uuid(id);
    return store_measurement_put(tx,
                                 &(struct store_measurement){.id = id,
                                                             .device = "bench",
                                                             .job = bench->job.id,
                                                             .search = "",
                                                             .space = "ofa-mbv3-w1.0",
                                                             .subject = bench->job.items[0].subject,
                                                             .kind = "network",
                                                             .verdict = "stable",
                                                             .reason = "",
                                                             .created_ns = tl_clock_wall_ns(),
                                                             .ratio = 1.0,
                                                             .anchor_ms = 5.0,
                                                             .median_ms = 5.0,
                                                             .body_hash = KEY,
                                                             .body = {bench->body.data, bench->body.len}},
                                 &is_new, err);
}

static void *write_all(void *arg)
{
    const struct client *self = arg;
    struct tl_err err = {0};
    for (size_t i = 0; i < self->n; i++) {
        check("write", store_write(self->bench->service.store, put_row, self->bench, &err), &err);
    }
    return NULL;
}

/* Rows a second of all clients doing `work` at once. */
static double run_clients(struct bench *bench, void *(*work)(void *), size_t round)
{
    struct client clients[CLIENTS_MAX];
    size_t n_clients = (size_t)bench->options.clients, n = (size_t)bench->options.uploads / n_clients;
    int64_t from_ns = tl_clock_mono_ns();
    for (size_t i = 0; i < n_clients; i++) {
        clients[i] =
            (struct client){.bench = bench, .n = n, .upload_ms = bench->upload_ms + (round * n_clients + i) * n};
        if (pthread_create(&clients[i].thread, NULL, work, &clients[i])) {
            die("threads", "cannot start one");
        }
    }
    for (size_t i = 0; i < n_clients; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    return (double)(n * n_clients) / seconds_since(from_ns);
}

/* ---- the bench ----------------------------------------------------------------------------------------------- */

static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        TL_AUTO(tl_buf) inside = {0};
        if (entry->d_name[0] != '.' && tl_buf_addf(&inside, NULL, "%s/%s", path, entry->d_name) == TL_OK &&
            unlink(inside.data)) {
            remove_folder(inside.data); /* NOLINT(misc-no-recursion): blobs, one level below */
        }
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(path);
}

static void report(struct bench *bench, double *uploads_per_s, double *writes_per_s)
{
    size_t rounds = (size_t)bench->options.rounds, clients = (size_t)bench->options.clients;
    size_t n = (size_t)bench->options.uploads / clients * clients * rounds;
    struct bench_figure figure = {.bench = "http",
                                  .name = "measurement_put",
                                  .metric = "uploads_per_s",
                                  .unit = "1/s",
                                  .peer = "store_write_alone",
                                  .value = bench_quantile(uploads_per_s, rounds, 0.5),
                                  .peer_value = bench_quantile(writes_per_s, rounds, 0.5),
                                  .threads = (unsigned)clients,
                                  .seed = (unsigned long long)bench->options.seed};
    bench_report(&figure);
    figure.peer = NULL;
    figure.unit = "ms";
    figure.metric = "upload_ms_median";
    figure.value = bench_quantile(bench->upload_ms, n, 0.5);
    bench_report(&figure);
    figure.metric = "upload_ms_p99";
    figure.value = bench_quantile(bench->upload_ms, n, 0.99);
    bench_report(&figure);
}

static enum tl_rc read_options(int argc, char **argv, struct options *options, struct tl_err *err)
{
    enum { DIRECTORY, CLIENTS, UPLOADS, RUNS, ROUNDS, SEED, COUNT };
    static const struct argument known[COUNT] = {{"dir", false},  {"clients", false}, {"uploads", false},
                                                 {"runs", false}, {"rounds", false},  {"seed", false}};
    static const int64_t max[COUNT] = {0, CLIENTS_MAX, 1000000, LAT_RUNS_MAX, ROUNDS_MAX, INT64_MAX};
    int64_t *const numbers[COUNT] = {NULL,           &options->clients, &options->uploads,
                                     &options->runs, &options->rounds,  &options->seed};
    struct arguments arguments = {.argc = argc - 1, .argv = argv + 1, .known = known, .n_known = COUNT};
    const char *value = NULL;
    int which = 0;
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if (which == DIRECTORY) {
            options->dir = value;
        } else if (which == ARGUMENT_WORD) {
            return tl_fail(err, TL_INVALID, "%s is one word too many", value);
        } else if ((rc = argument_int(known[which].name, value, 1, max[which], numbers[which], err))) {
            return rc;
        }
    }
    return rc == TL_OK && options->uploads < options->clients ? tl_fail(err, TL_INVALID, "fewer uploads than clients")
                                                              : rc;
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .options = {.dir = "/tmp", .clients = 16, .uploads = 4000, .runs = 20, .rounds = 5, .seed = 1}};
    double uploads_per_s[ROUNDS_MAX], writes_per_s[ROUNDS_MAX];
    TL_AUTO(tl_buf) dir = {0};
    struct tl_err err = {0};
    model_blas_single_thread();
    check("arguments", read_options(argc, argv, &bench.options, &err), &err);
    check("folder", tl_buf_addf(&dir, &err, "%s/tailor-bench-XXXXXX", bench.options.dir), &err);
    bench.upload_ms = calloc((size_t)(bench.options.uploads * bench.options.rounds), sizeof *bench.upload_ms);
    if (!bench.upload_ms || !mkdtemp(dir.data)) {
        die("cannot make a folder in", bench.options.dir);
    }
    bench.options.dir = dir.data;
    server_start(&bench);
    device_start(&bench);
    make_body(&bench);
    (void)fprintf(stderr, "bodies of %zu bytes\n", bench.body.len);
    for (size_t i = 0; i < (size_t)bench.options.rounds; i++) {
        uploads_per_s[i] = run_clients(&bench, upload_all, i);
        writes_per_s[i] = run_clients(&bench, write_all, i);
        (void)fprintf(stderr, "round %zu: %.0f uploads/s, %.0f writes/s without HTTP\n", i + 1, uploads_per_s[i],
                      writes_per_s[i]);
    }
    server_stop(&bench);
    remove_folder(dir.data);
    report(&bench, uploads_per_s, writes_per_s);
    lat_job_done(&bench.job);
    tl_buf_done(&bench.body);
    free(bench.upload_ms);
    return 0;
}
