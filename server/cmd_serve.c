/* cmd_serve.c - `tailor serve`: opens the store, starts the threads, and takes them down again in order. */
#include "server/access.h"
#include "server/command.h"
#include "server/flow.h"
#include "server/routes.h"
#include "server/snapshots.h"
#include "server/space_of_family.h"
#include "server/spaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS_MAX = 512, ARCHIVE_EVALUATIONS = 300000, ARCHIVE_EVALUATIONS_MAX = 100000000 };

struct listen_address {
    char host[64];
    uint16_t port;
};

struct serve_options {
    const char *data;
    struct listen_address address;
    const char *cert_file, *key_file; /* NULL: http */
    bool tokens_required;
    int64_t archive; /* evaluations that one is built with */
};

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "127.0.0.1:8080", "localhost:0", "[::1]:8080" */
static enum tl_rc parse_listen(const char *text, struct listen_address *ret_address, struct tl_err *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    bool bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    int64_t port = 0;
    struct listen_address address = {0};
    if (!colon || n == 0 || n - (bracketed ? 2 : 0) >= sizeof address.host) {
        return tl_fail(err, TL_INVALID, "--listen wants HOST:PORT, for example 127.0.0.1:8080, not \"%.80s\"", text);
    }
    memcpy(address.host, text + bracketed, n - (bracketed ? 2 : 0));
    if (strcmp(address.host, "localhost") == 0) {
        snprintf(address.host, sizeof address.host, "127.0.0.1");
    }
    enum tl_rc rc = argument_int("listen", colon + 1, 0, UINT16_MAX, &port, err);
    if (rc != TL_OK) {
        return rc;
    }
    address.port = (uint16_t)port;
    *ret_address = address;
    return TL_OK;
}

/* Make the family of a file known, if its space can be searched. */
static enum tl_rc add_family(const char *path, struct tl_err *err)
{
    struct net_family family;
    struct space *space = malloc(sizeof *space);
    enum tl_rc rc = space ? net_family_load(path, &family, err) : tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    rc = rc ? rc : space_of_family(&family, space, err);
    free(space);
    return rc ? rc : net_family_add(&family, err);
}

/* Beyond loopback, tokens are asked for and do not travel in the clear. */
static enum tl_rc check_exposure(bool insecure, struct serve_options *options, struct tl_err *err)
{
    bool exposed = !is_loopback(options->address.host);
    if (!options->cert_file != !options->key_file) {
        return tl_fail(err, TL_INVALID, "--tls-cert and --tls-key belong together");
    }
    if (exposed && !options->cert_file && !insecure) {
        return tl_fail(
            err, TL_INVALID,
            "on %s tokens and networks would travel in the clear: give --tls-cert FILE and --tls-key FILE; or say "
            "--insecure where the network itself is encrypted (a VPN), or behind a proxy that speaks TLS",
            options->address.host);
    }
    if (exposed && !options->cert_file) {
        tl_log(TL_LOG_WARNING, "serve", "on %s without TLS: tokens travel in the clear", options->address.host);
    }
    options->tokens_required = options->tokens_required || exposed;
    return TL_OK;
}

static enum tl_rc parse(int argc, char **argv, struct serve_options *options, struct tl_err *err)
{
    enum { DATA, LISTEN, FAMILY, VERBOSE, TLS_CERT, TLS_KEY, INSECURE, REQUIRE_TOKEN, ARCHIVE };
    static const struct argument known[] = {[DATA] = {"data", false},         [LISTEN] = {"listen", false},
                                            [FAMILY] = {"family", false},     [VERBOSE] = {"verbose", true},
                                            [TLS_CERT] = {"tls-cert", false}, [TLS_KEY] = {"tls-key", false},
                                            [INSECURE] = {"insecure", true},  [REQUIRE_TOKEN] = {"require-token", true},
                                            [ARCHIVE] = {"archive", false}};
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = TL_COUNT_OF(known)};
    const char *value = NULL;
    bool insecure = false;
    int which = 0;
    enum tl_rc rc = parse_listen("127.0.0.1:8080", &options->address, err);
    while (rc == TL_OK && !(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if (which == DATA) {
            options->data = value;
        } else if (which == LISTEN) {
            rc = parse_listen(value, &options->address, err);
        } else if (which == FAMILY) {
            rc = add_family(value, err);
        } else if (which == ARCHIVE) {
            rc = argument_int("archive", value, 0, ARCHIVE_EVALUATIONS_MAX, &options->archive, err);
        } else if (which == VERBOSE) {
            tl_log_level_set(TL_LOG_DEBUG);
        } else if (which == TLS_CERT) {
            options->cert_file = value;
        } else if (which == TLS_KEY) {
            options->key_file = value;
        } else if (which == INSECURE) {
            insecure = true;
        } else if (which == REQUIRE_TOKEN) {
            options->tokens_required = true;
        } else {
            rc = tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", value);
        }
    }
    return rc ? rc : check_exposure(insecure, options, err);
}

/* Posted by the first SIGTERM or SIGINT. A handler, and no signal mask: threads that libraries start before main could take
 * a signal that main has blocked for itself. */
static sem_t stop_asked;

static void ask_to_stop(int number)
{
    (void)number;
    (void)sem_post(&stop_asked);
}

/* A second signal of the same kind kills. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    (void)sem_init(&stop_asked, 0, 0);
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

static void wait_for_signal(void)
{
    while (sem_wait(&stop_asked) && errno == EINTR) {
    }
    tl_log(TL_LOG_INFO, "serve", "stopping");
}

/* Start what answers and wait; the threads of flow are there already. */
static enum tl_rc answer_until_signal(struct service *service, const struct serve_options *options, struct tl_err *err)
{
    const char *host = options->address.host;
    bool v6 = strchr(host, ':') != NULL;
    enum tl_rc rc = http_start(service->http, err);
    if (rc == TL_OK) {
        printf("listening on http%s://%s%s%s:%u\n", options->cert_file ? "s" : "", v6 ? "[" : "", host, v6 ? "]" : "",
               http_port(service->http));
        fflush(stdout);
        wait_for_signal();
        http_stop(service->http);
    }
    return rc;
}

static enum tl_rc serve_store(struct store *store, const struct serve_options *options, const struct tl_buf *cert,
                              const struct tl_buf *key, struct tl_err *err)
{
    struct service service = {.store = store, .archive_evaluations = (uint64_t)options->archive};
    struct http_config config = {.host = options->address.host,
                                 .port = options->address.port,
                                 .admit = access_admit,
                                 .tokens_required = options->tokens_required,
                                 .tls_cert = cert->data,
                                 .tls_key = key->data,
                                 .connections_max = CONNECTIONS_MAX,
                                 .routes = routes_all,
                                 .n_routes = routes_count,
                                 .service = &service};
    enum tl_rc rc;
    if (!(rc = access_new(store, options->tokens_required, &service.access, err)) &&
        !(rc = spaces_new(store, &service.spaces, err)) &&
        !(rc = snapshots_new(store, service.spaces, &service.snapshots, err)) &&
        !(rc = http_new(&config, &service.http, err)) && !(rc = flow_start(&service, &service.flow, err))) {
        rc = answer_until_signal(&service, options, err);
        flow_stop(service.flow);
    }
    http_free(service.http);
    snapshots_free(service.snapshots);
    spaces_free(service.spaces);
    access_free(service.access);
    return rc;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct serve_options options = {.data = "data", .archive = ARCHIVE_EVALUATIONS};
    TL_AUTO(tl_buf) cert = {0};
    TL_AUTO(tl_buf) key = {0};
    struct store *store = NULL;
    enum tl_rc rc;
    catch_signals();
    if ((rc = parse(argc, argv, &options, err)) ||
        (options.cert_file &&
         ((rc = tl_file_read(options.cert_file, &cert, err)) || (rc = tl_secret_read(options.key_file, &key, err)))) ||
        (rc = tl_dir_make(options.data, err)) || (rc = store_open(options.data, NULL, &store, err))) {
        return rc;
    }
    rc = serve_store(store, &options, &cert, &key, err);
    store_close(store);
    return rc;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the server: searches, devices, measurements, the page",
    .help =
        "usage: tailor serve [--data DIR] [--listen HOST:PORT] [--tls-cert FILE --tls-key FILE] [--require-token]\n"
        "                    [--insecure] [--family FILE.json]... [--archive N] [--verbose]\n\n"
        "Keeps everything in DIR (default: data) and answers on HOST:PORT (default: 127.0.0.1:8080; port 0: any).\n"
        "Prints the address it listens on as one line on stdout, and its log on stderr.\n"
        "Each --family adds a family of your own to the spaces; supernet/families/ shows the form, `tailor spaces show\n"
        "FILE.json` checks one.\n"
        "While nobody waits, an archive of good networks is built for what was searched lately, with N evaluations\n"
        "(default: 300000; 0: none): it answers later searches at once, and they start from it.\n"
        "Ctrl-C or SIGTERM stop it; a search that was running goes on at the next start.\n\n"
        "On loopback whoever reaches it may use it. On another address (0.0.0.0 or [::]: all) every request must show a\n"
        "token, and it starts only when a client has one (tailor tokens --help) and with TLS:\n"
        "  --tls-cert, --tls-key  PEM files of the certificate (with its chain) and its key, for https\n"
        "  --insecure             speak http all the same: where the network is encrypted, or a proxy speaks TLS\n"
        "  --require-token        ask for tokens on loopback too: behind a proxy on this machine\n\n"
        "example: tailor serve --data /var/lib/tailor --listen 127.0.0.1:8080\n"
        "         tailor serve --data /var/lib/tailor --listen 0.0.0.0:8443 --tls-cert server.pem --tls-key server.key\n",
    .run = run,
};
