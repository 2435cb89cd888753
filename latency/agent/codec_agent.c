/* codec_agent.c - the agent's requests other than measurements. Threads: any. */
#include "latency/agent/agent.h"

#include "supernet/kernels/kernels.h"

#include <stdio.h>
#include <string.h>

enum tl_rc agent_encode_registration(const struct agent_config *config, const char *key, const struct agent_host *host,
                                     struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s, s:{s:s%, s:s, s:i, s:s, s:s%, s:s%, s:i}}", "name", config->name,
                                       "agent_key", key, "info", "cpu", host->cpu, strlen(host->cpu), "isa", net_isa(),
                                       "threads", (int)config->threads, "runtime", "tailor " TAILOR_VERSION, "os",
                                       host->os, strlen(host->os), "kernel", host->kernel, strlen(host->kernel),
                                       "cores", (int)host->cores),
                             buf, err);
}

enum tl_rc agent_encode_lease(const char *device, const char *key, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s}", "device", device, "agent_key", key), buf, err);
}

enum tl_rc agent_encode_attempt(int64_t attempt, const char *key, const char *reason, struct tl_buf *buf,
                                struct tl_err *err)
{
    return tl_json_dump_take(
        json_pack("{s:I, s:s, s:s*}", "attempt", (json_int_t)attempt, "agent_key", key, "reason", reason), buf, err);
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
