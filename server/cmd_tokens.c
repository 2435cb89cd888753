/* cmd_tokens.c - `tailor tokens`: who may talk to a server. */
#include "server/cli.h"
#include "server/codec_cli.h"
#include "server/command.h"

#include <stdio.h>
#include <string.h>

static void print_token(void *ctx, const struct cli_token *token)
{
    size_t *n = ctx;
    if ((*n)++ == 0) {
        printf("%6s %-6s %-24s %-25s  %s\n", "id", "kind", "device", "made", "label");
    }
    printf("%6lld %-6s %-24s %-25s  %s%s%s\n", (long long)token->id, token->kind,
           token->device[0] ? token->device : "-", token->created, token->label, token->revoked[0] ? "  revoked " : "",
           token->revoked);
}

static enum tl_rc list(struct cli *cli, struct tl_err *err)
{
    char path[96] = "/tokens?page_size=1000", next[32] = "";
    size_t n = 0;
    enum tl_rc rc;
    do {
        TL_AUTO(http_answer) answer = {0};
        if ((rc = cli_call(cli, "GET", path, NULL, NULL, &answer, err)) ||
            (rc = cli_tokens_decode(answer.body.data, answer.body.len, print_token, &n, next, err))) {
            return rc;
        }
        snprintf(path, sizeof path, "/tokens?page_size=1000&page_token=%s", next);
    } while (next[0]);
    if (n == 0) {
        puts("There is no token: the server answers on loopback alone, and everybody there.");
    }
    return TL_OK;
}

/* The token alone goes to stdout, so that it can be written to a file. */
static enum tl_rc add(struct cli *cli, const char *device, const char *label, struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    TL_AUTO(tl_buf) body = {0};
    struct cli_token token;
    enum tl_rc rc;
    if ((rc = cli_token_encode(device, label, &body, err)) ||
        (rc = cli_call(cli, "POST", "/tokens", NULL, &body, &answer, err)) ||
        (rc = cli_token_decode(answer.body.data, answer.body.len, &token, err))) {
        return rc;
    }
    puts(token.secret);
    fprintf(stderr, "token %lld, for %s%s; this is the only time that it is shown\n", (long long)token.id,
            device ? "the agent of " : "", device ? device : label);
    return TL_OK;
}

static enum tl_rc revoke(struct cli *cli, const char *text, struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    char path[48];
    int64_t id = 0;
    enum tl_rc rc = argument_int("revoke", text, 1, INT64_MAX, &id, err);
    if (rc != TL_OK) {
        return rc;
    }
    snprintf(path, sizeof path, "/tokens/%lld", (long long)id);
    if ((rc = cli_call(cli, "DELETE", path, NULL, NULL, &answer, err)) == TL_OK) {
        printf("token %lld is revoked\n", (long long)id);
    }
    return rc;
}

struct words {
    const char *server, *device, *client, *label;
    const char *verb, *object; /* NULL: not there */
};

static enum tl_rc parse(int argc, char **argv, struct words *ret_words, struct tl_err *err)
{
    enum { SERVER, DEVICE, CLIENT, LABEL };
    static const struct argument known[] = {{"server", false}, {"device", false}, {"client", false}, {"label", false}};
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = TL_COUNT_OF(known)};
    const char *options[TL_COUNT_OF(known)] = {NULL}, *words[2] = {"list", NULL}, *word = NULL;
    size_t n = 0;
    int which = 0;
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &which, &word, err)) && which != ARGUMENT_END) {
        if (which != ARGUMENT_WORD) {
            options[which] = word;
        } else if (n == TL_COUNT_OF(words)) {
            return tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", word);
        } else {
            words[n++] = word;
        }
    }
    *ret_words = (struct words){options[SERVER], options[DEVICE], options[CLIENT], options[LABEL], words[0], words[1]};
    return rc;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct words words = {0};
    TL_AUTO(cli) cli = {0};
    enum tl_rc rc = parse(argc, argv, &words, err);
    if (rc != TL_OK) {
        return rc;
    }
    bool lists = strcmp(words.verb, "list") == 0 && !words.object;
    bool adds = strcmp(words.verb, "add") == 0 && !words.object;
    bool revokes = strcmp(words.verb, "revoke") == 0 && words.object;
    if (!lists && !adds && !revokes) {
        return tl_fail(err, TL_INVALID, "wants `list`, `add` or `revoke ID`");
    }
    if (adds && !words.device == !words.client) {
        return tl_fail(err, TL_INVALID, "`add` wants either --device NAME (for its agent) or --client WHO");
    }
    if ((rc = cli_open(&cli, words.server, err)) != TL_OK) {
        return rc;
    }
    return lists  ? list(&cli, err)
           : adds ? add(&cli, words.device, words.device ? words.label : words.client, err)
                  : revoke(&cli, words.object, err);
}

const struct command command_tokens = {
    .name = "tokens",
    .summary = "make, list and revoke the tokens of a server",
    .help =
        "usage: tailor tokens [--server URL] [list]\n"
        "       tailor tokens [--server URL] add --device NAME [--label TEXT]\n"
        "       tailor tokens [--server URL] add --client WHO\n"
        "       tailor tokens [--server URL] revoke ID\n\n"
        "A server that listens beyond loopback lets in only who shows a token. A client's opens everything. An agent's opens\n"
        "what the agent of device NAME does, and nothing else; the agent that first registers with a new one takes the name\n"
        "over, if another had it. `add` writes the token to stdout; the server keeps its digest alone. A token that is\n"
        "revoked opens nothing from then on.\n\n"
        "Every command reads a token from the file that TAILOR_TOKEN_FILE names (others must not be able to read it), or\n"
        "from TAILOR_TOKEN; and, for https, the certificates to trust from the file that TAILOR_CA names.\n\n"
        "example: (umask 077; tailor tokens add --client me > ~/.tailor-token)\n"
        "         (umask 077; tailor tokens add --device rack3-pi > rack3-pi.token)\n",
    .run = run,
};
