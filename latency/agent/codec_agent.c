/* codec_agent.c - the agent's requests other than measurements. Threads: any. */
#include "latency/agent/agent.h"

#include "supernet/codec_network.h"
#include "supernet/kernels/kernels.h"

#include <stdio.h>
#include <string.h>

enum tl_rc agent_encode_registration(const struct agent_config *config, const struct runner *runner, const char *key,
                                     const struct agent_host *host, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s, s:{s:s%, s:s*, s:i, s:i, s:s, s:s, s:s, s:s%, s:s%, s:i}}", "name",
                                       config->name, "agent_key", key, "info", "cpu", host->cpu, strlen(host->cpu),
                                       "isa", config->runner.kind == RUNNER_NATIVE ? net_isa() : NULL, "threads",
                                       (int)config->runner.threads, "batch", (int)config->runner.batch, "runtime",
                                       runner->runtime, "number_type", runner->number_type, "agent", TAILOR_VERSION,
                                       "os", host->os, strlen(host->os), "kernel", host->kernel, strlen(host->kernel),
                                       "cores", (int)host->cores),
                             buf, err);
}

enum tl_rc agent_network_hash(const struct network *net, uint64_t seed, unsigned batch, struct tl_hash *ret_hash,
                              struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {0};
    const uint64_t rest[] = {seed, batch};
    const enum tl_rc rc = tl_json_dump_take(net_encode(net), &text, err);

    if (!rc) {
        *ret_hash = tl_hash_of2(text.data, text.len, rest, sizeof rest);
    }
    return rc;
}

enum tl_rc agent_encode_lease(const char *device, const char *key, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s}", "device", device, "agent_key", key), buf, err);
}

enum tl_rc agent_encode_attempt(int64_t attempt, const char *key, const char *reason, struct tl_buf *buf,
                                struct tl_err *err)
{
    char text[AGENT_REASON_MAX + 1] = "";
    size_t n = 0;

    for (; reason != NULL && n < AGENT_REASON_MAX && reason[n] != '\0'; n++) {
        text[n] = reason[n];
        if (reason[n] < ' ' || reason[n] > '~') { /* a runner's words may be anything */
            text[n] = '?';
        }
    }
    return tl_json_dump_take(json_pack("{s:I, s:s, s:s*}", "attempt", (json_int_t)attempt, "agent_key", key, "reason",
                                       reason != NULL ? text : NULL),
                             buf, err);
}

void agent_problem_text(const struct http_answer *answer, char *ret_text, size_t size)
{
    TL_AUTO(tl_json) doc = {0};
    const char *body = answer->body.data != NULL ? answer->body.data : "";
    const char *detail = NULL;

    if (tl_json_parse(&doc, body, answer->body.len, NULL) == TL_OK) {
        detail = json_string_value(json_object_get(doc.root, "detail"));
    }
    (void)snprintf(ret_text, size, "%d: %.300s", answer->status, detail != NULL ? detail : body);
}
