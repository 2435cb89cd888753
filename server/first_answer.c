/* first_answer.c - the archive asked by a request, and what it says as a candidate.
 */
#include "server/first_answer.h"
#include "server/archive.h"
#include "server/spaces.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void first_answer_done(struct first_answer *answer)
{
    tl_buf_done(&answer->values);
}

/* What the archive says of a member, with the intervals that its evaluator gave: a latency's is a share of it. */
static void describe(const struct snapshot *snapshot, const struct archive_member *member,
                     struct metric_value ret_values[COLUMNS_MAX])
{
    const double relative = snapshot->latency[0] ? lat_model_error(snapshot->latency[0])->half_width : (double)NAN;

    for (size_t m = 0; m < METRIC_COUNT; m++) {
        ret_values[m] = (struct metric_value){member->values[m], 0.0};
    }
    ret_values[METRIC_ACCURACY].half_width = member->accuracy_half_width;
    ret_values[METRIC_LATENCY_MS].half_width =
        isnan(relative) ? HUGE_VAL : relative * member->values[METRIC_LATENCY_MS];
}

static void spec_of(const struct search_request *request, struct search_spec *spec)
{
    const uint8_t objective = (uint8_t)request_goal_column(request, &request->objective);

    *spec = (struct search_spec){.objective = objective,
                                 .maximize = request->maximize,
                                 .n_front = 1,
                                 .front = {objective},
                                 .n_limits = request->n_limits};
    for (size_t i = 0; i < request->n_limits; i++) {
        spec->limits[i] = (struct search_limit){(uint8_t)request_limit_column(request, i), request->limits[i].is_min,
                                                request->limits[i].bound};
    }
}

enum tl_rc first_answer_find(const struct snapshot *snapshot, const struct search_request *request,
                             struct first_answer *ret_answer, struct tl_err *err)
{
    struct first_answer answer = {.values = {.max = (size_t)64 << 10}};
    struct candidate_values values = {.devices = snapshot->devices};
    struct archive_member member;
    struct search_spec spec;
    struct tl_hash id;
    bool found = false;
    size_t at = 0;
    enum tl_rc rc;

    spec_of(request, &spec);
    rc = snapshot->archive && !request->evaluated ? archive_best(snapshot->archive, &spec, &found, &at, err) : TL_OK;
    if (rc || !found) {
        if (!rc) {
            *ret_answer = (struct first_answer){0};
        }
        return rc;
    }
    archive_at(snapshot->archive, at, &member);
    describe(snapshot, &member, values.columns);
    answer.n_members = archive_count(snapshot->archive);
    answer.width = snapshot->space->space.n_variables;
    memcpy(answer.genes, member.genes, answer.width);
    answer.accuracy = member.values[METRIC_ACCURACY];
    answer.latency_ms = member.values[METRIC_LATENCY_MS];
    id = space_arch_id(&snapshot->space->space, member.genes);
    tl_hash_format(&id, answer.arch);
    if ((rc = candidate_values_encode(&values, &answer.values, err))) {
        first_answer_done(&answer);
        return rc;
    }
    *ret_answer = answer;
    return TL_OK;
}

enum tl_rc first_answer_put(struct store_tx *tx, const struct first_answer *answer, const char *search,
                            struct search_progress *progress, struct tl_err *err)
{
    const struct store_candidate candidate = {.search = search,
                                              .arch = answer->arch,
                                              .role = "archive",
                                              .genes = {answer->genes, answer->width},
                                              .values = {answer->values.data, answer->values.len}};
    enum tl_rc rc = store_candidate_put(tx, &candidate, &progress->answer, err);

    progress->archive_members = answer->n_members;
    progress->archive_answers = true;
    progress->best_accuracy = answer->accuracy;
    progress->best_latency_ms[0] = answer->latency_ms;
    return rc;
}
