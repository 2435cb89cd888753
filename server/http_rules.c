/* http_rules.c - see http_rules.h. */
#include "server/http_rules.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PREFER_WAIT_MAX_S = 600 };

/* Match one pattern; params are filled as far as it fits. */
static bool pattern_fits(const char *pattern, const char *path, char params[HTTP_PARAMS_MAX][HTTP_PARAM_BYTES])
{
    size_t n_params = 0;
    while (*pattern) {
        if (strncmp(pattern, "{}", 2) != 0) {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        size_t n = strcspn(path, "/:");
        if (n == 0 || n >= HTTP_PARAM_BYTES || n_params == HTTP_PARAMS_MAX) {
            return false;
        }
        memcpy(params[n_params], path, n);
        params[n_params++][n] = '\0';
        path += n;
        pattern += 2;
    }
    return *path == '\0';
}

static void allow_add(char allow[HTTP_ALLOW_BYTES], const char *method)
{
    size_t n = strlen(allow);
    snprintf(allow + n, HTTP_ALLOW_BYTES - n, "%s%s%s", n ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

void http_match(const struct http_route *routes, size_t n_routes, const char *method, const char *path,
                struct http_match *ret_match)
{
    *ret_match = (struct http_match){0};
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const struct http_route *rest = NULL;
    for (size_t i = 0; i < n_routes; i++) {
        char params[HTTP_PARAMS_MAX][HTTP_PARAM_BYTES] = {{0}};
        if (strcmp(routes[i].pattern, "*") == 0) {
            rest = &routes[i];
        } else if (pattern_fits(routes[i].pattern, path, params)) {
            allow_add(ret_match->allow, routes[i].method);
            if (strcmp(routes[i].method, wanted) == 0) {
                ret_match->route = &routes[i];
                memcpy(ret_match->params, params, sizeof params);
            }
        }
    }
    if (!ret_match->allow[0] && rest && strcmp(rest->method, wanted) == 0) {
        ret_match->route = rest;
    }
}

/* The next element of a comma-separated header: *ret_n bytes without blanks around them; NULL at the end. */
static const char *list_next(const char **list, size_t *ret_n)
{
    const char *at = *list + strspn(*list, " \t,");
    size_t n = strcspn(at, ",");
    *list = at + n;
    while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t')) {
        n--;
    }
    *ret_n = n;
    return *at ? at : NULL;
}

double http_prefer_wait(const char *prefer)
{
    size_t n = 0;
    for (const char *at; prefer && (at = list_next(&prefer, &n));) {
        if (n > 5 && strncasecmp(at, "wait=", 5) == 0 && at[5] >= '0' && at[5] <= '9') {
            double wait_s = strtod(at + 5, NULL);
            return wait_s < PREFER_WAIT_MAX_S ? wait_s : PREFER_WAIT_MAX_S;
        }
    }
    return 0;
}

double http_prefer_answer(const char *prefer)
{
    size_t n = 0;
    for (const char *at; prefer && (at = list_next(&prefer, &n));) {
        if (n == 4 && strncasecmp(at, "wait", 4) == 0) {
            return PREFER_WAIT_MAX_S;
        }
        if (n > 5 && strncasecmp(at, "wait=", 5) == 0 && at[5] >= '0' && at[5] <= '9') {
            return strtod(at + 5, NULL) > 0 ? -1 : 0;
        }
    }
    return -1;
}

bool http_etag_listed(const char *if_none_match, const char *etag)
{
    size_t n = 0, etag_n = strlen(etag);
    for (const char *at; if_none_match && (at = list_next(&if_none_match, &n));) {
        if (n > 2 && strncmp(at, "W/", 2) == 0) {
            at += 2;
            n -= 2;
        }
        if ((n == 1 && *at == '*') || (n == etag_n && memcmp(at, etag, n) == 0)) {
            return true;
        }
    }
    return false;
}

enum tl_rc http_query_int(const struct http_request *request, const char *name, int64_t min, int64_t max,
                          int64_t *ret_value, struct tl_err *err)
{
    const char *text = http_query(request, name);
    if (!text) {
        return TL_OK;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        return tl_fail(err, TL_INVALID, "the query parameter %s must be a whole number from %lld to %lld", name,
                       (long long)min, (long long)max);
    }
    *ret_value = value;
    return TL_OK;
}

enum tl_rc http_query_real(const struct http_request *request, const char *name, double *ret_value, struct tl_err *err)
{
    const char *text = http_query(request, name);
    if (!text) {
        return TL_OK;
    }
    char *end = NULL;
    const double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < 0) {
        return tl_fail(err, TL_INVALID, "the query parameter %s must be a number from 0 on", name);
    }
    *ret_value = value;
    return TL_OK;
}

/* Digits at *at, passed over; false: there are none, or they are too large. */
static bool range_number(const char **at, size_t *ret_value)
{
    const char *begin = *at;
    size_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (size_t)(**at - '0'), &value)) {
            return false;
        }
    }
    *ret_value = value;
    return *at > begin;
}

enum http_range http_range_of(const char *range, size_t n, size_t *ret_from, size_t *ret_to)
{
    static const char unit[] = "bytes=";
    size_t from = 0, last = n - 1;
    if (!range || n == 0 || strncmp(range, unit, sizeof unit - 1) != 0) {
        return HTTP_RANGE_ALL;
    }
    const char *at = range + sizeof unit - 1;
    if (*at == '-') { /* the last so many bytes */
        at++;
        if (!range_number(&at, &last) || *at) {
            return HTTP_RANGE_ALL;
        }
        *ret_from = last < n ? n - last : 0;
        *ret_to = n;
        return last == 0 ? HTTP_RANGE_BEYOND : HTTP_RANGE_PART;
    }
    if (!range_number(&at, &from) || *at++ != '-' || (*at && !range_number(&at, &last)) || *at || last < from) {
        return from >= n && *at == '\0' ? HTTP_RANGE_BEYOND : HTTP_RANGE_ALL;
    }
    *ret_from = from;
    *ret_to = last < n ? last + 1 : n;
    return from < n ? HTTP_RANGE_PART : HTTP_RANGE_BEYOND;
}

bool http_host_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    if (!host) {
        return true;
    }
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        if (n == strlen(names[i]) && strncasecmp(host, names[i], n) == 0 && (host[n] == ':' || host[n] == '\0')) {
            return true;
        }
    }
    return false;
}

bool http_origin_allowed(const char *host, const char *origin, const char *sec_fetch_site)
{
    if (sec_fetch_site && strcmp(sec_fetch_site, "same-origin") != 0 && strcmp(sec_fetch_site, "none") != 0) {
        return false;
    }
    if (!origin) {
        return true;
    }
    const char *scheme = strstr(origin, "://");
    return host && scheme && strcasecmp(scheme + 3, host) == 0;
}

bool http_gzip_accepted(const char *accept_encoding)
{
    if (!accept_encoding) {
        return true;
    }
    size_t n = 0;
    for (const char *at; (at = list_next(&accept_encoding, &n));) {
        size_t name_n = strcspn(at, " ;,");
        if ((name_n == 4 && strncasecmp(at, "gzip", 4) == 0) || (name_n == 1 && *at == '*')) {
            const char *q = memchr(at, '=', n);
            return !q || strtod(q + 1, NULL) > 0;
        }
    }
    return false;
}
