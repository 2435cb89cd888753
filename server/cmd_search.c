/* cmd_search.c - `tailor search`: asks a server for a network under limits, watches, and prints the answer. */
#include "server/cli.h"
#include "server/cli_limits.h"
#include "server/codec_cli.h"
#include "server/codec_search.h"
#include "server/command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct wish {
    struct search_request request;
    struct devices named;           /* all --device; the request has them too, or with --each one of them */
    bool each;                      /* a search a device */
    bool shares[SEARCH_LIMITS_MAX]; /* the bound is still in per cent of what can be reached */
    const char *server;
    double wait_s; /* HUGE_VAL: until it is finished */
};

/* ---- command line -------------------------------------------------------------------------------------------- */

static enum tl_rc parse_metric(const char *text, size_t n, enum metric *ret_metric, struct tl_err *err)
{
    char name[40] = "";
    memcpy(name, text, n < sizeof name ? n : sizeof name - 1);
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        if (strcmp(metric_names[metric], name) == 0) {
            *ret_metric = metric;
            return TL_OK;
        }
    }
    const char *near = tl_nearest(name, metric_names, METRIC_COUNT);
    return tl_fail(err, TL_INVALID, "there is no metric \"%s\"; %s%s", name,
                   near ? "did you mean " : "they are latency_ms, ",
                   near ? near : "macs, params, size_bytes, peak_memory_bytes, accuracy");
}

/* "macs", "latency_ms", or of several devices "latency_ms@nano". *ret_other: it is of a device whose turn it is not. */
static enum tl_rc parse_goal(const char *text, size_t n, const struct wish *wish, struct request_goal *ret_goal,
                             bool *ret_other, struct tl_err *err)
{
    const struct devices *devices = &wish->request.devices;
    const char *at = memchr(text, '@', n);
    char device[DEVICE_NAME_MAX + 1] = "";
    enum tl_rc rc = parse_metric(text, at ? (size_t)(at - text) : n, &ret_goal->metric, err);

    if (rc) {
        return rc;
    }
    if (at) {
        snprintf(device, sizeof device, "%.*s", (int)(n - (size_t)(at - text) - 1), at + 1);
    }
    if (at && ret_goal->metric != METRIC_LATENCY_MS) {
        return tl_fail(err, TL_INVALID, "%s is the same on every device: leave @%s out", metric_names[ret_goal->metric],
                       device);
    }
    if (at && devices_find(&wish->named, device) < 0) {
        return tl_fail(err, TL_INVALID, "latency_ms@%s: there is no --device %s beside it", device, device);
    }
    if (!at && ret_goal->metric == METRIC_LATENCY_MS && devices->n > 1) {
        return tl_fail(err, TL_INVALID, "latency_ms is one device's: latency_ms@%s", devices->names[0]);
    }
    *ret_other = at && devices_find(devices, device) < 0;
    ret_goal->device = at && !*ret_other ? (uint8_t)devices_find(devices, device) : 0;
    return TL_OK;
}

/* "latency_ms=20", or "latency_ms=40%" of what can be reached */
static enum tl_rc parse_limit(const char *text, bool is_min, struct wish *wish, struct tl_err *err)
{
    struct search_request *request = &wish->request;
    struct request_limit limit = {.is_min = is_min};
    struct request_goal goal = {0};
    const char *equals = strchr(text, '=');
    bool other = false;
    enum tl_rc rc;
    if (!equals) {
        return tl_fail(err, TL_INVALID, "--%s wants METRIC=NUMBER, for example latency_ms=20, not \"%.60s\"",
                       is_min ? "min" : "max", text);
    }
    if (request->n_limits == SEARCH_LIMITS_MAX) {
        return tl_fail(err, TL_INVALID, "at most %d limits fit into one search", SEARCH_LIMITS_MAX);
    }
    TL_AUTO(tl_buf) number = {.max = 64};
    size_t n = strlen(equals + 1);
    bool share = n > 0 && equals[n] == '%';
    if ((rc = parse_goal(text, (size_t)(equals - text), wish, &goal, &other, err)) ||
        (rc = tl_buf_add(&number, equals + 1, share ? n - 1 : n, err)) ||
        (rc = argument_real(is_min ? "min" : "max", number.data ? number.data : "", 0, share ? 100.0 : 1e18,
                            &limit.bound, err))) {
        return rc;
    }
    if (!other) {
        limit.metric = goal.metric;
        limit.device = goal.device;
        wish->shares[request->n_limits] = share;
        request->limits[request->n_limits++] = limit;
    }
    return TL_OK;
}

static enum tl_rc parse_wanted(const char *text, const struct wish *wish, struct request_goal *ret_goal,
                               struct tl_err *err)
{
    bool other = false;
    enum tl_rc rc = parse_goal(text, strlen(text), wish, ret_goal, &other, err);

    return rc || !other
               ? rc
               : tl_fail(err, TL_INVALID, "\"%s\": with --each, what is wanted is the same on every device", text);
}

static enum tl_rc parse_objective(const char *text, bool maximize, struct wish *wish, struct tl_err *err)
{
    wish->request.maximize = maximize;
    return parse_wanted(text, wish, &wish->request.objective, err);
}

/* A further objective; the first place is the objective's (parse). */
static enum tl_rc parse_also(const char *text, struct wish *wish, struct tl_err *err)
{
    struct search_request *request = &wish->request;
    size_t at = request->n_objectives > 0 ? request->n_objectives : 1;
    if (at == OBJECTIVES_MAX) {
        return tl_fail(err, TL_INVALID, "at most %d objectives fit into one search: --also %d times", OBJECTIVES_MAX,
                       OBJECTIVES_MAX - 1);
    }
    enum tl_rc rc = parse_wanted(text, wish, &request->objectives[at], err);
    if (rc == TL_OK) {
        request->n_objectives = at + 1;
    }
    return rc;
}

/* "accuracy,latency_ms" */
static enum tl_rc parse_evaluated(const char *text, struct search_request *request, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    while (!rc && *text) {
        const size_t n = strcspn(text, ",");
        enum metric metric = METRIC_ACCURACY;
        rc = parse_metric(text, n, &metric, err);
        request->evaluated |= 1U << metric;
        text += n + (text[n] == ',');
    }
    return rc;
}

static enum tl_rc copy_text(const char *option, const char *value, char *to, size_t room, struct tl_err *err)
{
    if (strlen(value) >= room) {
        return tl_fail(err, TL_INVALID, "--%s is longer than %zu bytes", option, room - 1);
    }
    snprintf(to, room, "%s", value);
    return TL_OK;
}

enum option {
    SERVER,
    SPACE,
    DEVICE,
    EACH,
    LABEL,
    MAX,
    MIN,
    MAXIMIZE,
    MINIMIZE,
    ALSO,
    CONTROLLER,
    REWARD,
    SEED,
    EVALUATIONS,
    EVALUATE_BY,
    EVALUATE,
    TOP_K,
    ROUNDS,
    NO_VERIFY,
    WAIT
};

static const struct argument KNOWN[] = {
    [SERVER] = {"server", false},
    [SPACE] = {"space", false},
    [DEVICE] = {"device", false},
    [EACH] = {"each", true},
    [LABEL] = {"label", false},
    [MAX] = {"max", false},
    [MIN] = {"min", false},
    [MAXIMIZE] = {"maximize", false},
    [MINIMIZE] = {"minimize", false},
    [ALSO] = {"also", false},
    [CONTROLLER] = {"controller", false},
    [REWARD] = {"reward", false},
    [SEED] = {"seed", false},
    [EVALUATIONS] = {"evaluations", false},
    [EVALUATE_BY] = {"evaluate-by", false},
    [EVALUATE] = {"evaluate", false},
    [TOP_K] = {"top-k", false},
    [ROUNDS] = {"rounds", false},
    [NO_VERIFY] = {"no-verify", true},
    [WAIT] = {"wait", false},
};

static enum tl_rc parse_number(enum option option, const char *value, struct search_request *request,
                               struct tl_err *err)
{
    static const int64_t max[] = {
        [SEED] = INT64_MAX, [EVALUATIONS] = 1000000000, [TOP_K] = TOP_K_MAX, [ROUNDS] = ROUNDS_MAX};
    int64_t number = 0;
    enum tl_rc rc = argument_int(KNOWN[option].name, value, option == SEED ? 0 : 1, max[option], &number, err);
    if (rc != TL_OK) {
        return rc;
    }
    if (option == SEED) {
        request->seed = (uint64_t)number;
    } else if (option == EVALUATIONS) {
        request->evaluations = (uint64_t)number;
    } else if (option == TOP_K) {
        request->top_k = (int)number;
    } else {
        request->rounds = (int)number;
    }
    return TL_OK;
}

static enum tl_rc parse_reward(const char *value, struct search_request *request, struct tl_err *err)
{
    const char *names[SEARCH_REWARD_COUNT - 1];
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        names[i] = search_reward_name((enum search_reward)(i + 1));
        if (strcmp(value, names[i]) == 0) {
            request->reward = (enum search_reward)(i + 1);
            return TL_OK;
        }
    }
    const char *near = tl_nearest(value, names, TL_COUNT_OF(names));
    return tl_fail(err, TL_INVALID, "--reward: \"%.40s\" is none of absolute, soft, hard, power, quadratic%s%s%s",
                   value, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static enum tl_rc parse_option(int which, const char *value, struct wish *wish, struct tl_err *err)
{
    struct search_request *request = &wish->request;
    switch (which) {
    case SERVER:
        wish->server = value;
        return TL_OK;
    case SPACE:
        return argument_space(value, request->space, err);
    case DEVICE:
    case EACH:
        return TL_OK; /* parse_devices */
    case LABEL:
        return copy_text("label", value, request->label, sizeof request->label, err);
    case CONTROLLER:
        return copy_text("controller", value, request->controller, sizeof request->controller, err);
    case REWARD:
        return parse_reward(value, request, err);
    case EVALUATE_BY:
        return copy_text("evaluate-by", value, request->pool, sizeof request->pool, err);
    case EVALUATE:
        return parse_evaluated(value, request, err);
    case MAX:
    case MIN:
        return parse_limit(value, which == MIN, wish, err);
    case MAXIMIZE:
    case MINIMIZE:
        return parse_objective(value, which == MAXIMIZE, wish, err);
    case ALSO:
        return parse_also(value, wish, err);
    case NO_VERIFY:
        request->top_k = 0;
        return TL_OK;
    case WAIT:
        return argument_real("wait", value, 0, 1e6, &wish->wait_s, err);
    case ARGUMENT_WORD:
        return tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", value);
    default:
        return parse_number((enum option)which, value, request, err);
    }
}

/* What follows from what was said. */
static enum tl_rc complete(struct wish *wish, struct tl_err *err)
{
    struct search_request *request = &wish->request;
    if (request->evaluated && !request->pool[0]) {
        return tl_fail(err, TL_INVALID,
                       "--evaluate wants --evaluate-by NAME: the workers that do it (deploy/worker.py)");
    }
    if (request->pool[0] && !request->evaluated) {
        request->evaluated = 1U << METRIC_ACCURACY;
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        if (wish->shares[i] && (request->evaluated >> request->limits[i].metric & 1U)) {
            return tl_fail(err, TL_INVALID,
                           "nobody knows what workers will say of %s: give its limit as a number, not in %%",
                           metric_names[request->limits[i].metric]);
        }
    }
    if (request->evaluations == 0) {
        request->evaluations = request->pool[0] ? EVALUATIONS_DEAR : EVALUATIONS_DEFAULT;
    }
    request->objectives[0] = request->objective;
    return TL_OK;
}

static enum tl_rc parse_device(const char *name, struct devices *devices, struct tl_err *err)
{
    if (devices->n == DEVICES_MAX || devices_find(devices, name) >= 0) {
        return tl_fail(err, TL_INVALID, "--device %.64s: up to %d devices fit into one search, each once", name,
                       DEVICES_MAX);
    }
    return copy_text("device", name, devices->names[devices->n++], sizeof devices->names[0], err);
}

/* Every --device, and --each: read before the metrics that name them. */
static enum tl_rc parse_devices(int argc, char **argv, struct devices *ret_devices, bool *ret_each, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv, .known = KNOWN, .n_known = TL_COUNT_OF(KNOWN)};
    const char *value = NULL;
    int which = 0;
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        *ret_each = *ret_each || which == EACH;
        if (which == DEVICE && (rc = parse_device(value, ret_devices, err))) {
            return rc;
        }
    }
    return rc;
}

/* The search on all that were named or, with --each, on the one in place `turn`. */
static enum tl_rc parse(int argc, char **argv, size_t turn, struct wish *wish, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv, .known = KNOWN, .n_known = TL_COUNT_OF(KNOWN)};
    const char *value = NULL;
    int which = 0;
    enum tl_rc rc;
    *wish = (struct wish){.request = {.objective = {.metric = METRIC_ACCURACY},
                                      .maximize = true,
                                      .controller = CONTROLLER_DEFAULT,
                                      .seed = 1,
                                      .top_k = -1,
                                      .rounds = 3},
                          .wait_s = HUGE_VAL};
    if ((rc = parse_devices(argc, argv, &wish->named, &wish->each, err))) {
        return rc;
    }
    wish->request.devices = wish->named;
    if (wish->each && wish->named.n > 0) {
        wish->request.devices = (struct devices){.n = 1};
        memcpy(wish->request.devices.names[0], wish->named.names[turn], sizeof wish->named.names[0]);
    }
    while (!(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if ((rc = parse_option(which, value, wish, err)) != TL_OK) {
            return rc;
        }
    }
    rc = rc ? rc : complete(wish, err);
    if (rc == TL_OK && !wish->request.space[0]) {
        return tl_fail(err, TL_INVALID, "--space is missing; `tailor spaces` lists them");
    }
    return rc;
}

/* ---- watching ------------------------------------------------------------------------------------------------ */

static bool is_over(const struct cli_search *search)
{
    return strcmp(search->state, "finished") == 0 || strcmp(search->state, "failed") == 0 ||
           strcmp(search->state, "cancelled") == 0;
}

static enum tl_rc watch(struct cli *cli, double wait_s, struct cli_search *search, struct tl_err *err)
{
    TL_AUTO(cli_ticker) ticker = {0};
    int64_t begin_ns = tl_clock_mono_ns();
    char path[64];
    enum tl_rc rc = TL_OK;
    snprintf(path, sizeof path, "/search/%s", search->id);
    while (rc == TL_OK && !is_over(search) && (double)(tl_clock_mono_ns() - begin_ns) < wait_s * 1e9) {
        TL_AUTO(http_answer) answer = {0};
        cli_ticker_show(&ticker, search->state, search->message, search->done, search->total, search->unit,
                        search->eta_s);
        if (!(rc = cli_call(cli, "GET", path, "wait=1", NULL, &answer, err))) {
            rc = cli_search_decode(answer.body.data, answer.body.len, search, err);
        }
    }
    return rc;
}

/* ---- answer -------------------------------------------------------------------------------------------------- */

static void print_limits(const struct search_request *request, size_t column)
{
    for (size_t i = 0; i < request->n_limits; i++) {
        if (request_limit_column(request, i) == column) {
            printf("  %s %.10g", request->limits[i].is_min ? ">=" : "<=", request->limits[i].bound);
        }
    }
}

static void print_metrics(const struct search_request *request, const struct cli_search *search)
{
    printf("\n  %-18s %14s  %-23s %-10s limit\n", "metric", "value", "90 % interval", "kind");
    for (size_t column = 0; column < column_count(&search->devices); column++) {
        const struct cli_value *value = &search->values[column];
        char interval[48] = "", name[COLUMN_NAME_MAX];
        column_name(&search->devices, column, name);
        if (isnan(value->value)) {
            continue;
        }
        if (isfinite(value->low)) {
            snprintf(interval, sizeof interval, "%.5g .. %.5g", value->low, value->high);
        } else if (strcmp(value->kind, "predicted") == 0) {
            snprintf(interval, sizeof interval, "unknown");
        }
        bool whole = strcmp(value->kind, "computed") == 0; /* operations, parameters, bytes */
        printf("  %-18s %14.*f  %-23s %-10s", name, whole ? 0 : 3, value->value, interval, value->kind);
        print_limits(request, column);
        putchar('\n');
    }
}

static void print_measured(const struct cli_search *search)
{
    for (size_t d = 0; d == 0 || d < search->devices.n; d++) {
        printf(
            "Verified%s%s: measured over %lld visits and %lld blocks, median %.4g ms, with 95 %% confidence at most %.4g ms.\n",
            search->devices.n > 1 ? " on " : "", search->devices.names[d], (long long)search->verifications[d].visits,
            (long long)search->verifications[d].blocks, search->verifications[d].median_ms,
            search->verifications[d].upper_ms);
    }
}

static void print_verdict(const struct cli_search *search)
{
    if (search->verified) {
        print_measured(search);
    } else if (search->has_answer) {
        printf("Not verified: %s.\n",
               strcmp(search->outcome, "predicted") == 0   ? "no measurement was asked for, the answer is a prediction"
               : strcmp(search->outcome, "tabulated") == 0 ? "the answer is a row of the space's table"
               : strcmp(search->outcome, "evaluated") == 0 ? "its values are the workers', no device measured it"
                                                           : search->message);
    } else if (is_over(search)) {
        printf("No network holds all limits: %s.%s\n", search->message,
               search->has_nearest ? " This one came nearest:" : "");
    }
    if (search->warning[0]) {
        printf("Note: %s.\n", search->warning);
    }
}

/* In single quotes for the shell. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, stdout);
    }
    putchar('\'');
}

/* Where the answer can be had: ONNX and weights too, where the space has a supernet. */
static void print_files(struct cli *cli, long long candidate)
{
    TL_AUTO(http_answer) answer = {0};
    char path[64], names[200] = "";
    (void)snprintf(path, sizeof path, "/candidates/%lld", candidate);
    if (cli_call(cli, "GET", path, NULL, NULL, &answer, NULL) == TL_OK) {
        cli_artifacts_decode(answer.body.data, answer.body.len, names, sizeof names);
    }
    printf("  as files      %s%s/artifacts/{%s}\n", cli->server, path, names);
}

static void print_answer(struct cli *cli, const struct search_request *request, const struct cli_search *search,
                         const char *body)
{
    print_verdict(search);
    if (search->has_answer || search->has_nearest) {
        print_metrics(request, search);
        printf("\n  architecture  %s\n", search->architecture);
    }
    if (search->has_answer) {
        print_files(cli, (long long)search->candidate);
    }
    if (search->has_answer && request->n_objectives > 0) {
        printf("  front         %s/search/%s/front\n", cli->server, search->id);
    }
    printf("  page          %s/#/search/%s\n", cli->server, search->id);
    printf("  evaluations   %lld%s", (long long)search->evaluations, isfinite(search->seconds) ? "" : "\n");
    if (isfinite(search->seconds)) {
        printf(" in %.3g s\n", search->seconds);
    }
    printf("  the same with curl:\n    curl -s -H 'Prefer: wait=600' %s/search -d ", cli->server);
    print_quoted(body);
    putchar('\n');
}

static void print_ranges(const struct http_answer *answer, const struct devices *devices)
{
    struct cli_problem problem;
    cli_problem_decode(answer->body.data, answer->body.len, devices, &problem);
    for (size_t i = 0; i < column_count(devices); i++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, i, name);
        if (isfinite(problem.ranges[i].min)) {
            fprintf(stderr, "  within reach: %-18s %.6g to %.6g\n", name, problem.ranges[i].min, problem.ranges[i].max);
        }
    }
}

static enum tl_rc ask(struct wish *wish, struct tl_err *err)
{
    TL_AUTO(cli) cli = {0};
    TL_AUTO(tl_buf) body = {0};
    TL_AUTO(http_answer) answer = {0};
    struct cli_search search;
    enum tl_rc rc;
    if ((rc = cli_open(&cli, wish->server, err)) ||
        (rc = cli_limits_resolve(&cli, &wish->request, wish->shares, err)) ||
        (rc = search_request_encode(&wish->request, &body, err))) {
        return rc;
    }
    if ((rc = cli_call(&cli, "POST", "/search", NULL, &body, &answer, err))) {
        print_ranges(&answer, &wish->request.devices);
        return rc;
    }
    if ((rc = cli_search_decode(answer.body.data, answer.body.len, &search, err)) ||
        (rc = watch(&cli, wish->wait_s, &search, err))) {
        return rc;
    }
    if (!is_over(&search)) {
        printf("Still %s after %g s; it goes on without this command.\n", search.state, wish->wait_s);
    }
    print_answer(&cli, &wish->request, &search, body.data);
    if (strcmp(search.state, "failed") == 0) {
        return tl_fail(err, TL_UNAVAILABLE, "the search failed: %s", search.problem);
    }
    return is_over(&search) && !search.has_answer
               ? tl_fail(err, TL_NOT_FOUND, "the search ended as %s", search.outcome[0] ? search.outcome : search.state)
               : TL_OK;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct wish wish;
    enum tl_rc rc;
    size_t turn = 0;
    do {
        if ((rc = parse(argc, argv, turn, &wish, err))) {
            return rc;
        }
        if (wish.each && wish.named.n > 0) {
            printf("%s--- %s ---\n", turn ? "\n" : "", wish.request.devices.names[0]);
        }
        rc = ask(&wish, err);
    } while (!rc && wish.each && ++turn < wish.named.n);
    return rc;
}

const struct command command_search = {
    .name = "search",
    .summary = "ask a server for the best network under limits",
    .help =
        "usage: tailor search --space NAME [--device NAME]... [--max METRIC=N]... [--min METRIC=N]... [OPTIONS]\n\n"
        "Metrics: latency_ms, macs, params, size_bytes, peak_memory_bytes, accuracy (per cent).\n\n"
        "  --space NAME         what may be built; `tailor spaces` lists the spaces. Or the FILE.json that the server knows\n"
        "                       by its --family\n"
        "  --device NAME        where it must run; `tailor devices` lists the devices. Again for one network that serves up to\n"
        "                       four: each has a latency of its own then, latency_ms@NAME\n"
        "  --each               a search and a front a device instead; limits on latency_ms@NAME hold on that device alone\n"
        "  --max METRIC=N       at most; again for further limits. N% is a share of what can be reached there (0%: its\n"
        "                       minimum, 100%: its maximum); a device that is not known yet is profiled first\n"
        "  --min METRIC=N       at least\n"
        "  --maximize METRIC    what is wanted (default: accuracy)\n"
        "  --minimize METRIC    the same for everything that is better when small\n"
        "  --also METRIC        a further objective (accuracy is maximised, all else minimised); again for up to three.\n"
        "                       The answer is the best by the first; the front, what can be had between all of them\n"
        "  --evaluate-by NAME   workers of your own value the networks: deploy/worker.py\n"
        "  --evaluate METRICS   what they value, with commas between (default: accuracy); the rest as always\n"
        "  --evaluations N      networks to look at (default: 50000; with workers 500)\n"
        "  --controller NAME    how they are chosen: auto (default: what won in our benches), natural-gradient, yoco,\n"
        "                       reinforce, ppo, evolution (once-for-all's), distinct-evolution, aging-evolution, nsga2,\n"
        "                       nsga3 (five objectives and more), local-search, model, random\n"
        "  --reward NAME        what reinforce and ppo learn from: absolute (default), hard, quadratic; soft and power trade\n"
        "                       the limits for the objective and may end far from them\n"
        "  --seed N             same seed, same answer (default: 1)\n"
        "  --top-k N            candidates to measure on the device (default: 3, where it has an agent)\n"
        "  --rounds N           times to go on searching when none of them holds (default: 3)\n"
        "  --no-verify          measure nothing; the answer is a prediction\n"
        "  --label TEXT         a name for people\n"
        "  --wait S             stop watching after S seconds; the search goes on\n"
        "  --server URL         default: the variable TAILOR_SERVER, else http://127.0.0.1:8080\n\n"
        "example: tailor search --space ofa-mbv3-w1.0 --device this-machine --max latency_ms=20 --max size_bytes=24e6\n",
    .run = run,
};
