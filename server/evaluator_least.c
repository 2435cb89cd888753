/* evaluator_least.c - the architecture whose weighted costs are least.
 *
 * One idea: costs are sums of cells that depend on a choice and on two widths, so stage after stage the least sum for each
 * width is all that the next stage needs: exact, without looking at architectures. (Peak memory is a maximum, for which the
 * same holds.) A bound on peak memory leaves cells out.
 */
#include "server/evaluator_tables.h"

#include <math.h>
#include <string.h>

/* What was added up so far. */
struct sum {
    struct cell cell;
    double weighed; /* HUGE_VAL: nothing is allowed */
};

static const struct sum NOTHING = {.weighed = HUGE_VAL};

static double weigh(const struct cell *cell, const struct weighing *weighing)
{
    double sum = 0;

    for (enum metric m = 0; m < METRIC_ACCURACY; m++) {
        if (weighing->weights[m] != 0) { /* what has no model is NAN, and has no weight */
            sum += weighing->weights[m] * cell_metric(cell, m);
        }
    }
    return sum;
}

static void keep_less(struct sum *least, const struct sum *other)
{
    if (other->weighed < least->weighed) {
        *least = *other;
    }
}

static struct sum with(const struct sum *sum, const struct cell *cell, const struct weighing *weighing)
{
    struct sum total = *sum;

    cell_add(&total.cell, cell);
    total.weighed = sum->weighed == HUGE_VAL || total.cell.memory_bytes > weighing->memory_max
                        ? HUGE_VAL
                        : weigh(&total.cell, weighing);
    return total;
}

/* Two widths beside a stage, and the choices [from, to) that its slots have. */
struct stage_view {
    size_t stage, before, own, from, to;
};

static bool may_end(const struct net_stage *stage, size_t n_slots)
{
    bool ends = n_slots == stage->n_slots;

    for (size_t d = 0; d < stage->n_depths; d++) {
        ends = ends || stage->depths[d] == n_slots;
    }
    return ends;
}

/* The least over everything that a stage can hold, added to `sum`. Each depth is taken in turn: weighed costs may be
 * negative. */
static struct sum stage_least(const struct evaluator *e, const struct resolution_table *table,
                              const struct stage_view *view, const struct weighing *weighing, struct sum sum)
{
    const struct net_stage *stage = &e->family->stages[view->stage];
    const size_t first = net_family_slots(e->family, view->stage);
    struct sum least = NOTHING;

    for (size_t b = 0; b < stage->n_slots; b++) {
        const struct cell *cells = slot_cells(e, table, first + b, view->before, view->own);
        struct sum slot = NOTHING;
        for (size_t c = view->from; c < view->to; c++) {
            const struct sum one = with(&sum, &cells[c], weighing);
            keep_less(&slot, &one);
        }
        sum = slot;
        if (may_end(stage, b + 1)) {
            keep_less(&least, &sum);
        }
    }
    return least;
}

/* The same over the choices that all slots of a stage may share. */
static struct sum stage_choices_least(const struct evaluator *e, const struct resolution_table *table,
                                      struct stage_view view, const struct weighing *weighing, const struct sum *sum)
{
    const size_t n = e->family->n_choices, step = e->family->per_stage ? 1 : n;
    struct sum least = NOTHING;

    for (view.from = 0; view.from < n; view.from += step) {
        view.to = view.from + step;
        const struct sum one = stage_least(e, table, &view, weighing, *sum);
        keep_less(&least, &one);
    }
    return least;
}

/* Widths at a place: how many cells are kept apart. */
static size_t widths_at(const struct evaluator *e, size_t place)
{
    return net_family_elastic_width(e->family, place) ? e->n_widths : 1;
}

static struct sum stem_least(const struct evaluator *e, const struct resolution_table *table, size_t own,
                             const struct weighing *weighing)
{
    const struct sum none = {.weighed = 0};
    struct sum least = NOTHING;

    for (size_t mid = 0; mid < widths_at(e, NET_PLACE_MID); mid++) {
        for (size_t depth = 0; depth < (net_family_elastic_stem(e->family) ? 2U : 1U); depth++) {
            const struct sum one = with(&none, &table->stem[mid][own][depth], weighing);
            keep_less(&least, &one);
        }
    }
    return least;
}

/* Stage by stage the least so far for each width, since the next stage sees no more of those before it. */
bool tables_least(const struct evaluator *e, size_t resolution, const struct weighing *weighing, struct cell *ret_least)
{
    const struct resolution_table *table = &e->tables[resolution];
    struct sum sums[NET_WIDTHS_MAX], least = NOTHING;
    size_t n = widths_at(e, NET_PLACE_STEM);

    for (size_t w = 0; w < n; w++) {
        sums[w] = stem_least(e, table, w, weighing);
    }
    for (size_t s = 0; s < e->family->n_stages; s++) {
        const size_t n_own = widths_at(e, NET_PLACE_STAGE + s);
        struct sum next[NET_WIDTHS_MAX];
        for (size_t own = 0; own < n_own; own++) {
            next[own] = NOTHING;
            for (size_t w = 0; w < n; w++) {
                const struct stage_view view = {.stage = s, .before = w, .own = own};
                const struct sum one = stage_choices_least(e, table, view, weighing, &sums[w]);
                keep_less(&next[own], &one);
            }
        }
        memcpy(sums, next, n_own * sizeof *sums);
        n = n_own;
    }
    for (size_t w = 0; w < n; w++) {
        const struct sum one = with(&sums[w], &table->head[w], weighing);
        keep_less(&least, &one);
    }
    *ret_least = least.cell;
    return least.weighed < HUGE_VAL;
}
