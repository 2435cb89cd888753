/* access.c - see access.h. */
#include "server/access.h"

#include "server/routes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TOKENS_MAX = 10000, PAGE = 1000, UNAUTHORIZED = 401, FORBIDDEN = 403 };

/* What a browser and a watchdog may see without a token. */
static http_handler *const OPEN[] = {route_livez, route_readyz, route_version, route_page};
/* What an agent's token opens, for its device alone (service_agent); everything else is for clients. */
static http_handler *const AGENT[] = {route_device_post, route_job_lease,       route_job_renew, route_job_complete,
                                      route_job_fail,    route_measurement_put, route_job_model};

/* A valid token. */
struct entry {
    char digest[TL_DIGEST_TEXT];
    struct http_caller caller;
};

struct entries {
    struct entry *list; /* owned */
    size_t n, cap;
    int64_t revision; /* of the store: rows and revoked rows, both of which only ever grow */
    int64_t last;     /* row read */
};

static void entries_done(struct entries *entries)
{
    free(entries->list);
}

struct access {
    struct store *store; /* borrowed */
    bool required;
    pthread_mutex_t lock; /* guards entries */
    struct entries entries;
};

/* ---- memory -------------------------------------------------------------------------------------------------- */

static enum tl_rc take_entry(void *ctx, const struct store_token *token, struct tl_err *err)
{
    struct entries *entries = ctx;
    entries->last = token->id;
    entries->revision += token->revoked_ns ? 2 : 1;
    if (token->revoked_ns) {
        return TL_OK;
    }
    if (entries->n == entries->cap) {
        size_t cap = entries->cap ? 2 * entries->cap : 16;
        struct entry *list = realloc(entries->list, cap * sizeof *list);
        if (!list) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for %zu tokens", cap);
        }
        entries->list = list;
        entries->cap = cap;
    }
    struct entry *entry = &entries->list[entries->n++];
    *entry = (struct entry){.caller.token = token->id};
    snprintf(entry->digest, sizeof entry->digest, "%s", token->digest);
    snprintf(entry->caller.device, sizeof entry->caller.device, "%s", token->device);
    return TL_OK;
}

static enum tl_rc read_entries(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct entries *entries = ctx;
    enum tl_rc rc = TL_OK;
    for (int64_t from = -1; rc == TL_OK && from != entries->last;) {
        from = entries->last;
        rc = store_token_list(tx, (struct store_page){from, PAGE}, take_entry, entries, err);
    }
    return rc;
}

/* Of two threads that read after their changes, the one that read later wins. */
static enum tl_rc reload(struct access *access, struct tl_err *err)
{
    TL_AUTO(entries) fresh = {0};
    enum tl_rc rc = store_read(access->store, read_entries, &fresh, err);
    if (rc != TL_OK) {
        return rc;
    }
    pthread_mutex_lock(&access->lock);
    if (fresh.revision > access->entries.revision) {
        struct entries old = access->entries;
        access->entries = fresh;
        fresh = old;
    }
    pthread_mutex_unlock(&access->lock);
    return TL_OK;
}

static bool find(struct access *access, const char *secret, struct http_caller *ret_caller)
{
    char digest[TL_DIGEST_TEXT];
    bool found = false;
    tl_secret_digest(secret, digest);
    pthread_mutex_lock(&access->lock);
    for (size_t i = 0; !found && i < access->entries.n; i++) {
        found = memcmp(access->entries.list[i].digest, digest, sizeof digest) == 0;
        *ret_caller = found ? access->entries.list[i].caller : *ret_caller;
    }
    pthread_mutex_unlock(&access->lock);
    return found;
}

/* ---- at the door --------------------------------------------------------------------------------------------- */

static bool is_among(http_handler *const *handlers, size_t n, http_handler *handler)
{
    for (size_t i = 0; i < n; i++) {
        if (handlers[i] == handler) {
            return true;
        }
    }
    return false;
}

/* What follows "Bearer " in an Authorization header; NULL: no header, or one for a proxy on the way. */
static const char *bearer(const char *header)
{
    static const char SCHEME[] = "Bearer ";
    if (!header || strncasecmp(header, SCHEME, sizeof SCHEME - 1) != 0) {
        return NULL;
    }
    return header + sizeof SCHEME - 1 + strspn(header + sizeof SCHEME - 1, " ");
}

int access_admit(struct service *service, const struct http_route *route, struct http_request *request,
                 struct tl_err *err)
{
    request->caller = (struct http_caller){0};
    if (is_among(OPEN, TL_COUNT_OF(OPEN), route->handler)) {
        return 0;
    }
    const char *secret = bearer(http_header(request, "Authorization"));
    if (!secret && !service->access->required) {
        return 0;
    }
    if (!secret) {
        (void)tl_fail(
            err, TL_FORBIDDEN,
            "this server wants a token: send the header Authorization: Bearer TOKEN (command line and agent read "
            "it from the variable TAILOR_TOKEN); whoever has a client's makes one with tailor tokens add");
        return UNAUTHORIZED;
    }
    if (!find(service->access, secret, &request->caller)) {
        (void)tl_fail(err, TL_FORBIDDEN,
                      "this token is not known here, or was revoked: tailor tokens lists those that are "
                      "valid, tailor tokens add makes one");
        return UNAUTHORIZED;
    }
    if (request->caller.device[0] && !is_among(AGENT, TL_COUNT_OF(AGENT), route->handler)) {
        (void)tl_fail(err, TL_FORBIDDEN,
                      "the token of an agent opens only what %s needs for its work; this takes a client's",
                      request->caller.device);
        return FORBIDDEN;
    }
    return 0;
}

/* ---- changes ------------------------------------------------------------------------------------------------- */

static enum tl_rc count_clients(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    return store_token_count(tx, "client", ctx, err);
}

enum tl_rc access_new(struct store *store, bool required, struct access **ret_access, struct tl_err *err)
{
    int64_t n_clients = 0;
    enum tl_rc rc = store_read(store, count_clients, &n_clients, err);
    if (rc != TL_OK) {
        return rc;
    }
    if (required && n_clients == 0) {
        return tl_fail(err, TL_INVALID,
                       "beyond loopback nobody gets in without a token, and no client has one yet: start it once on "
                       "loopback, make one with tailor tokens add --client NAME, and start it again");
    }
    struct access *access = calloc(1, sizeof *access);
    if (!access) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for tokens");
    }
    access->store = store;
    access->required = required;
    pthread_mutex_init(&access->lock, NULL);
    if ((rc = reload(access, err)) != TL_OK) {
        access_free(access);
        return rc;
    }
    *ret_access = access;
    return TL_OK;
}

void access_free(struct access *access)
{
    if (access) {
        pthread_mutex_destroy(&access->lock);
        entries_done(&access->entries);
        free(access);
    }
}

struct change {
    const struct access *access;
    struct store_token token;
};

static enum tl_rc add_token(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct change *change = ctx;
    return store_token_add(tx, &change->token, &change->token.id, err);
}

enum tl_rc access_add(struct access *access, const struct store_token *token, int64_t *ret_id,
                      char ret_secret[TL_SECRET_TEXT], struct tl_err *err)
{
    char digest[TL_DIGEST_TEXT];
    struct change change = {access, *token};
    pthread_mutex_lock(&access->lock);
    bool full = access->entries.n >= TOKENS_MAX;
    pthread_mutex_unlock(&access->lock);
    if (full) {
        return tl_fail(err, TL_CONFLICT, "there are %d tokens: revoke those that nobody uses", TOKENS_MAX);
    }
    tl_secret(ret_secret);
    tl_secret_digest(ret_secret, digest);
    change.token.digest = digest;
    enum tl_rc rc = store_write(access->store, add_token, &change, err);
    if (rc == TL_OK && (rc = reload(access, err)) == TL_OK) {
        *ret_id = change.token.id;
    }
    return rc;
}

static enum tl_rc revoke_token(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct change *change = ctx;
    int64_t n_clients = 0;
    enum tl_rc rc;
    if ((rc = store_token_revoke(tx, change->token.id, tl_clock_wall_ns(), err)) ||
        (rc = store_token_count(tx, "client", &n_clients, err))) {
        return rc;
    }
    return n_clients == 0 && change->access->required
               ? tl_fail(err, TL_CONFLICT, "this is the last client's token: without it nobody could make another")
               : TL_OK;
}

enum tl_rc access_revoke(struct access *access, int64_t id, struct tl_err *err)
{
    struct change change = {access, {.id = id}};
    enum tl_rc rc = store_write(access->store, revoke_token, &change, err);
    return rc != TL_OK ? rc : reload(access, err);
}
