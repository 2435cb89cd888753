/* The whole agent against a server of this test's own, which answers as each case wants. */
#include "agent_folder.h"
#include "latency/agent/agent.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { REQUEST_MAX = 1 << 20, SEEN_MAX = 64 };

static const char JOB[] = "01935a1e-7d5c-7000-8000-000000000001";

/* A model file, and its BLAKE2b-128. */
static const char MODEL[] = "a model";

/* What the server was asked, and how it behaves. */
struct server {
    int listening;
    pthread_t thread;
    char url[64];
    char lines[SEEN_MAX][128]; /* "PUT /measurements/..." */
    char *bodies[SEEN_MAX];    /* owned */
    atomic_int n;
    int jobs_left; /* leases answered with a job */
    int register_status;
    int busy_puts; /* PUTs answered 503 before the others */
    const char *busy_headers;
    int put_status;
    bool broken_job;
    const char *etag;    /* of model files, whatever they are; NULL: there are none */
    const char *session; /* a script for /bin/sh to be the runner; NULL: our own runtime */
    bool lease_hangs;    /* never answers a lease, and sets *stop instead */
    atomic_int *stop;
};

static char *job_text(bool broken)
{
    struct lat_job job = {
        .attempt = 3,
        .kind = "profile",
        .lease_s = 60,
        .number = 1,
        .total = 2,
        .anchor = calloc(1, sizeof(struct lat_job_item)),
        .items = calloc(2, sizeof(struct lat_job_item)),
        .n_items = 2,
        .protocol = {.rounds = 3, .min_runs = 3, .block_ms = 1, .anchor_block_ms = 1, .threads = 1, .batch = 1},
        .seed = 1};
    TL_AUTO(tl_buf) text = {0};
    struct net_pick pick;

    memcpy(job.id, JOB, sizeof JOB);
    lat_anchor_pick(net_family_get("nasbench-macro"), 32, &pick);
    assert_int_equal(net_build(net_family_get("nasbench-macro"), &pick, &job.anchor->net, NULL), TL_OK);
    memcpy(job.anchor->subject, "anchor", sizeof "anchor");
    for (size_t i = 0; i < 2; i++) {
        net_block_cut(&job.anchor->net, i + 1, &job.items[i].net);
        net_block_key(&job.anchor->net, i + 1, job.items[i].subject);
        job.items[i].is_block = true;
    }
    json_t *json = lat_job_encode(&job);
    if (broken) {
        json_object_set_new(json_object_get(json, "protocol"), "rounds", json_integer(1000));
    }
    assert_int_equal(tl_json_dump_take(json, &text, NULL), TL_OK);
    lat_job_done(&job);
    return tl_buf_take(&text);
}

static void answer_with(int fd, int status, const char *headers, const char *body)
{
    char head[256];

    const int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
                           status, strlen(body), headers);
    (void)send(fd, head, (size_t)n, MSG_NOSIGNAL);
    (void)send(fd, body, strlen(body), MSG_NOSIGNAL);
}

static void answer_tagged(int fd, int status, const char *etag, const char *body)
{
    char header[64];

    (void)snprintf(header, sizeof header, "ETag: %s\r\n", etag);
    answer_with(fd, status, header, body);
}

static void answer(int fd, int status, const char *body)
{
    answer_with(fd, status, "", body);
}

/* What the case wants as an answer to this request. */
static void respond(struct server *server, int fd, const char *line)
{
    if (strncmp(line, "POST /devices", 13) == 0) {
        answer(fd, server->register_status, "{\"detail\": \"the name is taken\"}");
    } else if (strncmp(line, "POST /jobs:lease", 16) == 0 && server->lease_hangs) {
        char nothing[16];
        *server->stop = 1;
        (void)recv(fd, nothing, sizeof nothing, 0); /* until the agent hangs up */
    } else if (strncmp(line, "POST /jobs:lease", 16) == 0 && server->jobs_left > 0) {
        char *text = job_text(server->broken_job);
        server->jobs_left--;
        answer(fd, 200, text);
        free(text);
    } else if (strncmp(line, "POST /jobs:lease", 16) == 0) {
        answer(fd, 204, "");
    } else if (strncmp(line, "GET /jobs/", 10) == 0 && server->etag != NULL) {
        answer_tagged(fd, 200, server->etag, MODEL);
    } else if (strncmp(line, "GET /jobs/", 10) == 0) {
        answer(fd, 404, "{\"detail\": \"no such model\"}");
    } else if (strncmp(line, "PUT ", 4) == 0 && server->busy_puts > 0) {
        server->busy_puts--;
        answer_with(fd, 503, server->busy_headers != NULL ? server->busy_headers : "", "{}");
    } else if (strncmp(line, "PUT ", 4) == 0) {
        answer(fd, server->put_status, "{\"detail\": \"as the case wants\"}");
    } else {
        answer(fd, 200, "{}");
    }
}

/* Read one request; its body is NUL-terminated. False: the client went away. */
static bool receive(int fd, char *request)
{
    size_t n = 0;

    for (;;) {
        const ssize_t got = recv(fd, request + n, REQUEST_MAX - 1 - n, 0);
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        request[n] = '\0';
        const char *end = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
        if (end != NULL && n >= (size_t)(end - request) + 4 + (length != NULL ? strtoul(length + 16, NULL, 10) : 0)) {
            return true;
        }
    }
}

static void *serve(void *arg)
{
    struct server *server = arg;
    char *request = malloc(REQUEST_MAX);
    int fd;

    while (request != NULL && (fd = accept(server->listening, NULL, NULL)) >= 0) {
        const int at = atomic_load(&server->n);
        if (receive(fd, request) && at < SEEN_MAX) {
            (void)snprintf(server->lines[at], sizeof server->lines[at], "%.*s", (int)strcspn(request, "\r"), request);
            server->bodies[at] = strdup(strstr(request, "\r\n\r\n") + 4);
            atomic_store(&server->n, at + 1);
            respond(server, fd, server->lines[at]);
        }
        (void)close(fd);
    }
    free(request);
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;

    server->listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(server->listening >= 0);
    assert_int_equal(bind(server->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(server->listening, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(listen(server->listening, 8), 0);
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    (void)shutdown(server->listening, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listening);
    for (int i = 0; i < atomic_load(&server->n); i++) {
        free(server->bodies[i]);
    }
}

/* Which request was the k-th that begins so? -1: none. */
static int find(const struct server *server, const char *line, int k)
{
    for (int i = 0; i < atomic_load(&server->n); i++) {
        if (strncmp(server->lines[i], line, strlen(line)) == 0 && k-- == 0) {
            return i;
        }
    }
    return -1;
}

static char said[8192];

static void remember(enum tl_log_level level, const char *text)
{
    const size_t n = strlen(said);
    (void)level;
    (void)snprintf(said + n, sizeof said - n, "%s\n", text);
}

/* Run an agent that leaves when there is nothing to do. */
static enum tl_rc run_agent(struct server *server, const char *dir, struct tl_err *err)
{
    static atomic_int stop;
    struct agent_config config = {
        .name = "pi",
        .once_idle_s = 0,
        .runner = {.format = "onnx", .number_type = "float32", .timeout_s = 5, .threads = 1, .batch = 1}};

    for (size_t i = 0; server->session != NULL && i < 3; i++) {
        const char *const words[] = {"/bin/sh", "-c", server->session};
        config.runner.kind = RUNNER_SESSION;
        assert_int_equal(child_words_add(&config.runner.command, words[i], NULL), TL_OK);
    }
    stop = 0;
    said[0] = '\0';
    server->stop = &stop;
    server_start(server);
    memcpy(config.server, server->url, sizeof server->url);
    (void)snprintf(config.state_dir, sizeof config.state_dir, "%s", dir);
    return agent_run(&config, &stop, remember, err);
}

static size_t spooled(const char *dir)
{
    char uuids[SPOOL_FILES_MAX][TL_UUID_TEXT];
    struct agent_spool spool;
    size_t n = 0;

    assert_int_equal(agent_spool_open(dir, &spool, NULL), TL_OK);
    assert_int_equal(agent_spool_list(&spool, uuids, &n, NULL), TL_OK);
    return n;
}

static void a_job_is_measured_uploaded_and_completed(void **state)
{
    struct server server = {.register_status = 201, .put_status = 201, .jobs_left = 1};
    struct tl_err err = {0};

    if (run_agent(&server, *state, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(find(&server, "POST /devices ", 0), 0);
    assert_int_equal(find(&server, "POST /jobs:lease ", 0), 1);
    assert_int_equal(find(&server, "PUT /measurements/", 0), 2);
    assert_int_equal(find(&server, "PUT /measurements/", 1), 3);
    assert_int_equal(find(&server, "POST /jobs/01935a1e-7d5c-7000-8000-000000000001:complete ", 0), 4);
    for (int item = 0; item < 2; item++) {
        TL_AUTO(lat_measurement) measurement = {0};
        struct lat_verdict verdict;
        const char *body = server.bodies[2 + item];
        assert_int_equal(lat_measurement_decode(body, strlen(body), &measurement, &err), TL_OK);
        assert_string_equal(measurement.device, "pi");
        assert_string_equal(measurement.job, JOB);
        assert_true(measurement.attempt == 3 && measurement.item == (size_t)item && measurement.is_block);
        assert_int_equal(lat_judge(&measurement.visit, &verdict, NULL), TL_OK);
    }
    assert_non_null(strstr(server.bodies[4], "\"attempt\":3"));
    assert_non_null(strstr(said, "profile 1 of 2: 2 blocks, "));
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void a_busy_server_gets_the_same_bytes_again(void **state)
{
    struct server server = {.register_status = 200, .put_status = 200, .jobs_left = 1, .busy_puts = 1};

    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    const int first = find(&server, "PUT ", 0), second = find(&server, "PUT ", 1);
    assert_true(first >= 0 && second == first + 1 && find(&server, "PUT ", 3) < 0);
    assert_string_equal(server.lines[first], server.lines[second]);
    assert_string_equal(server.bodies[first], server.bodies[second]);
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void a_server_that_says_when_is_not_asked_earlier(void **state)
{
    struct server server = {.register_status = 200,
                            .put_status = 200,
                            .jobs_left = 1,
                            .busy_puts = 1,
                            .busy_headers = "Retry-After: 2\r\n"};
    const int64_t from_ns = tl_clock_mono_ns();

    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    assert_true(tl_clock_mono_ns() - from_ns >= 2000000000);
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void a_revoked_token_ends_the_agent_and_what_it_measured_stays(void **state)
{
    static const int statuses[] = {401, 403};

    for (size_t i = 0; i < TL_COUNT_OF(statuses); i++) {
        struct server server = {.register_status = 200, .put_status = statuses[i], .jobs_left = 1};
        struct tl_err err = {0};
        assert_int_equal(run_agent(&server, *state, &err), TL_FORBIDDEN);
        assert_non_null(strstr(err.text, "as the case wants"));
        assert_int_equal(find(&server, "POST /jobs/", 0), -1); /* the job is neither done nor failed */
        assert_int_equal(spooled(*state), 2);
        server_stop(&server);
    }
    struct server server = {.register_status = 200, .put_status = 201};
    assert_int_equal(run_agent(&server, *state, NULL), TL_OK); /* with a new one */
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void a_refused_measurement_is_kept_aside_and_the_job_goes_on(void **state)
{
    struct server server = {.register_status = 201, .put_status = 422, .jobs_left = 1};

    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    assert_true(find(&server, "POST /jobs/01935a1e-7d5c-7000-8000-000000000001:complete ", 0) > 0);
    assert_non_null(strstr(said, "422: as the case wants"));
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void what_an_earlier_run_left_is_sent_before_anything_is_leased(void **state)
{
    struct server server = {.register_status = 200, .put_status = 201};
    struct agent_spool spool;
    char uuid[TL_UUID_TEXT], line[64];

    tl_uuid(uuid);
    assert_int_equal(agent_spool_open(*state, &spool, NULL), TL_OK);
    assert_int_equal(agent_spool_add(&spool, uuid, "{\"old\":1}", 9, NULL), TL_OK);
    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    (void)snprintf(line, sizeof line, "PUT /measurements/%s ", uuid);
    assert_int_equal(find(&server, line, 0), 1);
    assert_int_equal(find(&server, "POST /jobs:lease ", 0), 2);
    assert_string_equal(server.bodies[1], "{\"old\":1}");
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void a_job_that_cannot_be_done_is_failed_with_the_reason(void **state)
{
    struct server server = {.register_status = 201, .put_status = 201, .jobs_left = 1, .broken_job = true};

    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    const int at = find(&server, "POST /jobs/01935a1e-7d5c-7000-8000-000000000001:fail ", 0);
    assert_true(at > 0 && find(&server, "PUT ", 0) < 0);
    assert_non_null(strstr(server.bodies[at], "\"reason\":\"/protocol/rounds must be an integer from 3 to 64\""));
    server_stop(&server);
}

/* Answers of a session; model 2 kills it. */
#define SESSION(when_2)                                                                                                \
    "echo '{\"tailor_runner\":1,\"runtime\":\"played\",\"version\":\"1.0\",\"threads\":1}'\n"                          \
    "while read -r q; do\n"                                                                                            \
    "  n=${q#*:}; n=${n%%[,\\}]*}\n"                                                                                   \
    "  case $q in\n"                                                                                                   \
    "  *unload*) echo '{\"unloaded\":'$n'}' ;;\n"                                                                      \
    "  *load*) echo '{\"loaded\":'$n'}' ;;\n" when_2 "  *'max_runs\":1,'*) echo '{\"ns\":[5000]}' ;;\n"                \
    "  *'max_runs\":2,'*) echo '{\"ns\":[5000,5000]}' ;;\n"                                                            \
    "  *) echo '{\"ns\":[5000,6000,5500]}' ;;\n"                                                                       \
    "  esac\n"                                                                                                         \
    "done\n"

static void model_etag(char ret_etag[TL_HASH_TEXT + 2])
{
    const struct tl_hash hash = tl_hash_of(MODEL, strlen(MODEL));
    char text[TL_HASH_TEXT];

    tl_hash_format(&hash, text);
    (void)snprintf(ret_etag, TL_HASH_TEXT + 2, "\"%s\"", text);
}

static void another_runtime_measures_the_files_it_is_given(void **state)
{
    char etag[TL_HASH_TEXT + 2];
    struct server server = {.register_status = 201, .put_status = 201, .jobs_left = 2, .session = SESSION("")};
    TL_AUTO(lat_measurement) measurement = {0};
    struct tl_err err = {0};

    model_etag(etag);
    server.etag = etag;
    if (run_agent(&server, *state, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_non_null(strstr(server.bodies[0], "\"runtime\":\"played 1.0\""));
    assert_true(find(&server, "GET /jobs/01935a1e-7d5c-7000-8000-000000000001/models/anchor ", 0) > 0);
    assert_true(find(&server, "GET /jobs/01935a1e-7d5c-7000-8000-000000000001/models/1 ", 1) > 0);
    assert_int_equal(find(&server, "GET /jobs/01935a1e-7d5c-7000-8000-000000000001/models/anchor ", 1), -1); /* kept */
    const char *body = server.bodies[find(&server, "PUT ", 1)];
    assert_int_equal(lat_measurement_decode(body, strlen(body), &measurement, &err), TL_OK);
    assert_string_equal(measurement.context.runtime, "played 1.0");
    assert_memory_equal(measurement.context.model, etag + 1, TL_HASH_TEXT - 1);
    assert_true(find(&server, "POST /jobs/01935a1e-7d5c-7000-8000-000000000001:complete ", 1) > 0);
    server_stop(&server);
}

static void a_network_that_kills_the_runner_costs_no_other(void **state)
{
    char etag[TL_HASH_TEXT + 2];
    struct server server = {.register_status = 201,
                            .put_status = 201,
                            .jobs_left = 1,
                            .session = SESSION("*'\"time\":2,'*) echo 'bad kernel' >&2; kill -SEGV $$ ;;\n")};

    model_etag(etag);
    server.etag = etag;
    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    assert_true(find(&server, "PUT ", 0) > 0 && find(&server, "PUT ", 1) < 0);
    const int at = find(&server, "POST /jobs/01935a1e-7d5c-7000-8000-000000000001:fail ", 0);
    assert_true(at > 0);
    assert_non_null(strstr(server.bodies[at], "1 of 2 not measured: "));
    assert_non_null(strstr(server.bodies[at], "was killed by signal 11; it last said: bad kernel"));
    assert_int_equal(spooled(*state), 0);
    server_stop(&server);
}

static void a_model_that_is_not_what_the_server_says_is_not_run(void **state)
{
    struct server server = {
        .register_status = 201, .put_status = 201, .jobs_left = 1, .session = SESSION(""), .etag = "\"another\""};

    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    const int at = find(&server, "POST /jobs/01935a1e-7d5c-7000-8000-000000000001:fail ", 0);
    assert_true(at > 0 && find(&server, "PUT ", 0) < 0);
    assert_non_null(strstr(server.bodies[at], "has the hash"));
    server_stop(&server);
}

static void a_runner_that_does_not_start_ends_the_agent(void **state)
{
    struct server server = {.register_status = 201, .session = "echo 'no licence' >&2; exit 3"};
    struct tl_err err = {0};

    assert_int_equal(run_agent(&server, *state, &err), TL_IO);
    assert_string_equal(err.text, "the runner ended with status 3; it last said: no licence");
    assert_int_equal(atomic_load(&server.n), 0);
    server_stop(&server);
}

/* Two agents with one lock: the second waits until the first has given it back, and keeps its lease meanwhile. */
static enum tl_rc count_asks(void *ctx, struct tl_err *err)
{
    return ++*(int *)ctx == 3 ? tl_fail(err, TL_CONFLICT, "enough") : TL_OK;
}

static void one_measures_at_a_time(void **state)
{
    struct agent_lock first, second;
    char path[FOLDER_PATH_MAX];
    int asked = 0;
    const struct agent_watch nothing = {0}, counting = {.between = count_asks, .ctx = &asked};

    (void)snprintf(path, sizeof path, "%s/shared", (const char *)*state);
    assert_int_equal(agent_lock_open(path, &first, NULL), TL_OK);
    assert_int_equal(agent_lock_open(path, &second, NULL), TL_OK);
    assert_int_equal(agent_lock_take(&first, &nothing, NULL), TL_OK);
    assert_int_equal(agent_lock_take(&second, &counting, NULL), TL_CONFLICT);
    assert_int_equal(asked, 3);
    agent_lock_give(&first);
    assert_int_equal(agent_lock_take(&second, &nothing, NULL), TL_OK);
    agent_lock_done(&second);
    assert_int_equal(agent_lock_take(&first, &nothing, NULL), TL_OK);
    agent_lock_done(&first);
}

static void a_taken_name_ends_the_agent_with_the_servers_words(void **state)
{
    struct server server = {.register_status = 409};
    struct tl_err err = {0};

    assert_int_equal(run_agent(&server, *state, &err), TL_CONFLICT);
    assert_non_null(strstr(err.text, "the name is taken"));
    server_stop(&server);
}

static void a_signal_ends_the_wait_for_work_at_once(void **state)
{
    struct server server = {.register_status = 201, .lease_hangs = true};
    const int64_t from_ns = tl_clock_mono_ns();

    assert_int_equal(run_agent(&server, *state, NULL), TL_OK);
    assert_true(tl_clock_mono_ns() - from_ns < 3000000000);
    server_stop(&server);
}

static void one_agent_a_folder(void **state)
{
    struct server server = {.register_status = 201};
    struct agent_state held;
    struct tl_err err = {0};

    assert_int_equal(agent_state_open(*state, &held, NULL), TL_OK);
    assert_int_equal(run_agent(&server, *state, &err), TL_CONFLICT);
    assert_non_null(strstr(err.text, "another tailor-agent"));
    assert_int_equal(atomic_load(&server.n), 0);
    agent_state_done(&held);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_is_measured_uploaded_and_completed, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_busy_server_gets_the_same_bytes_again, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_server_that_says_when_is_not_asked_earlier, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_revoked_token_ends_the_agent_and_what_it_measured_stays, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_refused_measurement_is_kept_aside_and_the_job_goes_on, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(what_an_earlier_run_left_is_sent_before_anything_is_leased, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_job_that_cannot_be_done_is_failed_with_the_reason, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(another_runtime_measures_the_files_it_is_given, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_network_that_kills_the_runner_costs_no_other, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_model_that_is_not_what_the_server_says_is_not_run, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_runner_that_does_not_start_ends_the_agent, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(one_measures_at_a_time, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_taken_name_ends_the_agent_with_the_servers_words, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_signal_ends_the_wait_for_work_at_once, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(one_agent_a_folder, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
