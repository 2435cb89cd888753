/* cmd_serve.c - `tailor serve`: opens the store, starts the threads, and takes them down again in order. */
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
    if (!is_loopback(address.host)) {
        return tl_fail(
            err, TL_INVALID,
            "listens on loopback only, since whoever reaches the server may use it: tokens do not exist yet. "
            "From other machines, ssh -L 8080:127.0.0.1:8080 leads here");
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

static enum tl_rc parse(int argc, char **argv, const char **ret_data, struct listen_address *ret_address,
                        int64_t *ret_archive, struct tl_err *err)
{
    enum { DATA, LISTEN, FAMILY, ARCHIVE, VERBOSE };
    static const struct argument known[] = {[DATA] = {"data", false},
                                            [LISTEN] = {"listen", false},
                                            [FAMILY] = {"family", false},
                                            [ARCHIVE] = {"archive", false},
                                            [VERBOSE] = {"verbose", true}};
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = TL_COUNT_OF(known)};
    const char *value = NULL;
    int which = 0;
    enum tl_rc rc = parse_listen("127.0.0.1:8080", ret_address, err);
    while (rc == TL_OK && !(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if (which == DATA) {
            *ret_data = value;
        } else if (which == LISTEN) {
            rc = parse_listen(value, ret_address, err);
        } else if (which == FAMILY) {
            rc = add_family(value, err);
        } else if (which == ARCHIVE) {
            rc = argument_int("archive", value, 0, ARCHIVE_EVALUATIONS_MAX, ret_archive, err);
        } else if (which == VERBOSE) {
            tl_log_level_set(TL_LOG_DEBUG);
        } else {
            rc = tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", value);
        }
    }
    return rc;
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
static enum tl_rc answer_until_signal(struct service *service, const struct listen_address *address, struct tl_err *err)
{
    bool v6 = strchr(address->host, ':') != NULL;
    enum tl_rc rc = http_start(service->http, err);
    if (rc == TL_OK) {
        printf("listening on http://%s%s%s:%u\n", v6 ? "[" : "", address->host, v6 ? "]" : "",
               http_port(service->http));
        fflush(stdout);
        wait_for_signal();
        http_stop(service->http);
    }
    return rc;
}

static enum tl_rc serve_store(struct store *store, const struct listen_address *address, int64_t archive_evaluations,
                              struct tl_err *err)
{
    struct service service = {.store = store, .archive_evaluations = (uint64_t)archive_evaluations};
    struct http_config config = {.host = address->host,
                                 .port = address->port,
                                 .connections_max = CONNECTIONS_MAX,
                                 .routes = routes_all,
                                 .n_routes = routes_count,
                                 .service = &service};
    enum tl_rc rc;
    if (!(rc = spaces_new(store, &service.spaces, err)) &&
        !(rc = snapshots_new(store, service.spaces, &service.snapshots, err)) &&
        !(rc = http_new(&config, &service.http, err)) && !(rc = flow_start(&service, &service.flow, err))) {
        rc = answer_until_signal(&service, address, err);
        flow_stop(service.flow);
    }
    http_free(service.http);
    snapshots_free(service.snapshots);
    spaces_free(service.spaces);
    return rc;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct listen_address address;
    int64_t archive = ARCHIVE_EVALUATIONS;
    const char *data = "data";
    struct store *store = NULL;
    enum tl_rc rc;
    catch_signals();
    if ((rc = parse(argc, argv, &data, &address, &archive, err)) || (rc = tl_dir_make(data, err)) ||
        (rc = store_open(data, NULL, &store, err))) {
        return rc;
    }
    rc = serve_store(store, &address, archive, err);
    store_close(store);
    return rc;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the server: searches, devices, measurements, the page",
    .help =
        "usage: tailor serve [--data DIR] [--listen HOST:PORT] [--family FILE.json]... [--archive N]\n"
        "                    [--verbose]\n\n"
        "Keeps everything in DIR (default: data) and answers on HOST:PORT (default: 127.0.0.1:8080; port 0: any).\n"
        "Prints the address it listens on as one line on stdout, and its log on stderr. Listens on loopback only.\n"
        "Each --family adds a family of your own to the spaces; supernet/families/ shows the form, `tailor spaces show\n"
        "FILE.json` checks one.\n"
        "While nobody waits, an archive of good networks is built for what was searched lately, with N evaluations\n"
        "(default: 300000; 0: none): it answers later searches at once, and they start from it.\n"
        "Ctrl-C or SIGTERM stop it; a search that was running goes on at the next start.\n\n"
        "example: tailor serve --data /var/lib/tailor --listen 127.0.0.1:8080\n",
    .run = run,
};
