/* Leased jobs from outside: what is let in can be timed, and goes out as it came in. */
/* links: tailor_latency_codec */
#include "fuzz.h"
#include "latency/codec_job.h"

#include <string.h>

static void use(const struct lat_job *job)
{
    const struct lat_protocol *protocol = &job->protocol;

    must(job->n_items >= 1 && job->n_items <= LAT_JOB_ITEMS_MAX && tl_uuid_valid(job->id));
    must(protocol->rounds >= LAT_ROUNDS_MIN && protocol->rounds <= LAT_ROUNDS_MAX);
    must(protocol->min_runs >= 1 && protocol->min_runs <= LAT_RUNS_MAX && protocol->block_ms <= LAT_BLOCK_MS_MAX);
    must(net_check(&job->anchor->net, NULL) == TL_OK && lat_subject_valid(job->anchor->subject));
    for (size_t i = 0; i < job->n_items; i++) {
        must(net_check(&job->items[i].net, NULL) == TL_OK && lat_subject_valid(job->items[i].subject));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(lat_job) again = {0};
    TL_AUTO(tl_buf) text = {.max = 64 << 20};
    struct tl_err err = {0};
    char id[TL_UUID_TEXT];
    int64_t attempt = 0;
    const bool named = lat_job_decode_id((const char *)data, n, id, &attempt, NULL) == TL_OK;

    if (lat_job_decode((const char *)data, n, &job, &err)) {
        must(err.text[0] != '\0' && job.items == NULL);
        return 0;
    }
    must(named && strcmp(id, job.id) == 0 && attempt == job.attempt);
    use(&job);
    must(tl_json_dump_take(lat_job_encode(&job), &text, &err) == TL_OK);
    must(lat_job_decode(text.data, text.len, &again, &err) == TL_OK && again.n_items == job.n_items);
    return 0;
}
