/* What workers answer: what is let in has a value or none for everything that it names, once, and fits what was asked or not. */
/* links: tailor_server */
#include "fuzz.h"
#include "server/codec_evaluate.h"

#include <math.h>
#include <string.h>

/* The two architectures and metrics of corpus/evaluate_answer/two.json. */
static const struct evaluate_asked ASKED = {
    .metrics = 1U << METRIC_ACCURACY | 1U << METRIC_LATENCY_MS,
    .n = 2,
    .archs = {"0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"},
};

static void use(const struct evaluate_answer *answer)
{
    must(answer->n <= EVALUATE_ARCHS_MAX && (answer->there || answer->n == 0));
    for (size_t i = 0; i < answer->n; i++) {
        const struct evaluate_row *row = &answer->rows[i];
        struct tl_hash id;
        must(tl_hash_parse(row->arch, &id));
        for (size_t j = 0; j < i; j++) {
            must(strcmp(answer->rows[j].arch, row->arch) != 0);
        }
        for (size_t m = 0; m < METRIC_COUNT; m++) {
            must(isnan(row->values[m]) || (row->given >> m & 1U && row->values[m] >= 0 && isfinite(row->values[m])));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct agent_call call;
    struct evaluate_answer answer;
    struct tl_err err = {0}, why = {0};

    if (complete_call_decode((const char *)data, n, &call, &answer, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    use(&answer);
    if (evaluate_answer_check(&answer, &ASKED, &why)) {
        must(why.rc == TL_INVALID && strncmp(why.pointer, "/values", 7) == 0);
        return 0;
    }
    must(answer.n == ASKED.n && answer.rows[0].given == ASKED.metrics && answer.rows[1].given == ASKED.metrics);
    return 0;
}
