/* ranking.c - insertion into a sorted array. */
#include "search/ranking.h"
#include "search/goal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum tl_rc ranking_init(struct ranking *ranking, const struct space *space, size_t max, struct tl_err *err)
{
    *ranking = (struct ranking){.space = space, .max = max, .at = calloc(max, sizeof *ranking->at)};
    return ranking->at ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for %zu individuals", max);
}

void ranking_done(struct ranking *ranking)
{
    free(ranking->at);
    *ranking = (struct ranking){0};
}

void ranking_add(struct ranking *ranking, const uint8_t *genes, double score, double violation)
{
    size_t place = ranking->n;
    while (place > 0 &&
           !goal_better(ranking->at[place - 1].violation, ranking->at[place - 1].score, violation, score)) {
        place--;
    }
    if (place == ranking->max) {
        return;
    }
    ranking->n += ranking->n < ranking->max;
    memmove(&ranking->at[place + 1], &ranking->at[place], (ranking->n - 1 - place) * sizeof *ranking->at);
    memcpy(ranking->at[place].genes, genes, ranking->space->n_variables);
    ranking->at[place].score = score;
    ranking->at[place].violation = violation;
}

enum tl_rc ranking_save(const struct ranking *ranking, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)ranking->n, err);
    for (size_t i = 0; !rc && i < ranking->n; i++) {
        rc = tl_buf_add(buf, ranking->at[i].genes, ranking->space->n_variables, err);
        rc = rc ? rc : tl_buf_put_f64(buf, ranking->at[i].score, err);
        rc = rc ? rc : tl_buf_put_f64(buf, ranking->at[i].violation, err);
    }
    return rc;
}

static bool load_individual(const struct space *space, struct individual *individual, struct tl_cursor *state)
{
    const uint8_t *genes = tl_cursor_bytes(state, space->n_variables);
    individual->score = tl_cursor_f64(state);
    individual->violation = tl_cursor_f64(state);
    if (state->failed || !space_valid(space, genes) || !isfinite(individual->score) ||
        !isfinite(individual->violation)) {
        return false;
    }
    memcpy(individual->genes, genes, space->n_variables);
    return individual->violation >= 0;
}

bool ranking_load(struct ranking *ranking, struct tl_cursor *state)
{
    const size_t n = tl_cursor_u32(state);
    bool good = n <= ranking->max;
    for (size_t i = 0; good && i < n; i++) {
        good = load_individual(ranking->space, &ranking->at[i], state);
    }
    ranking->n = good ? n : 0;
    return good && !state->failed;
}
