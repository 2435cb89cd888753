/* front.c - see front.h. */
#include "search/front.h"

#include "search/goal.h"

#include <stdlib.h>
#include <string.h>

enum { REBUILD_FACTOR = 4, REBUILD_MIN = 1024 }; /* a tree is rebuilt when so many were added for each one left in it */

enum tl_rc front_init(struct front *front, const struct search_spec *spec, const struct space *space, size_t n_metrics,
                      size_t capacity, struct tl_err *err)
{
    *front = (struct front){.spec = spec, .capacity = capacity};
    front->entries = calloc(capacity, sizeof *front->entries);
    front->free_slots = calloc(capacity, sizeof *front->free_slots);
    front->marked = calloc(capacity, sizeof *front->marked);
    enum tl_rc rc = front->entries && front->free_slots && front->marked
                        ? TL_OK
                        : tl_fail(err, TL_NO_MEMORY, "no memory for a front of %zu", capacity);
    rc = rc ? rc : shelf_init(&front->members, space, n_metrics, capacity, err);
    if (!rc && spec->n_front > 2) {
        rc = front_tree_init(&front->tree, spec->n_front, capacity, err);
    }
    if (rc) {
        front_done(front);
        return rc;
    }
    for (size_t i = 0; i < capacity; i++) {
        front->free_slots[i] = (uint32_t)i;
    }
    return TL_OK;
}

void front_done(struct front *front)
{
    free(front->entries);
    free(front->free_slots);
    free(front->marked);
    shelf_done(&front->members);
    front_tree_done(&front->tree);
    *front = (struct front){0};
}

/* Number of entries whose second cost is at most `second`. */
static size_t upper_bound(const struct front *front, double second)
{
    size_t low = 0, high = front->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (front->entries[middle].second <= second) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Put `entry` in the place of the entries begin..end-1. */
static void replace_range(struct front *front, size_t begin, size_t end, struct front_entry entry)
{
    for (size_t i = begin; i < end; i++) {
        front->free_slots[--front->n] = front->entries[i].slot;
    }
    size_t n_behind = front->n - begin; /* entries from `end` on, n being without the removed ones */
    entry.slot = front->free_slots[front->n++];
    memmove(front->entries + begin + 1, front->entries + end, n_behind * sizeof entry);
    front->entries[begin] = entry;
}

/* Two costs (or one, the second being 0 throughout): what is dominated is a run of neighbours. */
static bool place_two(struct front *front, struct front_entry entry, uint32_t *ret_slot)
{
    size_t place = upper_bound(front, entry.second);
    if (place > 0 && front->entries[place - 1].first <= entry.first) {
        return false;
    }
    size_t begin = place > 0 && front->entries[place - 1].second == entry.second ? place - 1 : place;
    size_t end = place;
    while (end < front->n && front->entries[end].first >= entry.first) {
        end++;
    }
    replace_range(front, begin, end, entry);
    *ret_slot = front->entries[begin].slot;
    return true;
}

static void tree_rebuild(struct front *front)
{
    double costs[SEARCH_METRICS_MAX];
    front_tree_clear(&front->tree);
    for (size_t i = 0; i < front->n; i++) {
        uint32_t slot = front->entries[i].slot;
        memcpy(costs, front_tree_costs(&front->tree, slot), front->spec->n_front * sizeof *costs);
        front_tree_add(&front->tree, slot, costs);
    }
}

/* Remove the entries whose slots are marked; the marks are cleared. */
static void drop_marked(struct front *front)
{
    size_t n_kept = 0, n = front->n;
    for (size_t i = 0; i < n; i++) {
        struct front_entry entry = front->entries[i];
        if (front->marked[entry.slot]) {
            front->marked[entry.slot] = 0;
            front->free_slots[--front->n] = entry.slot;
        } else {
            front->entries[n_kept++] = entry;
        }
    }
}

static bool place_many(struct front *front, struct front_entry entry, const double *costs, uint32_t *ret_slot)
{
    struct front_tree *tree = &front->tree;
    if (front_tree_covers(tree, costs)) {
        return false;
    }
    if (front_tree_take_covered(tree, costs, front->marked) > 0) {
        drop_marked(front);
    }
    size_t place = upper_bound(front, entry.second);
    replace_range(front, place, place, entry);
    *ret_slot = front->entries[place].slot;
    front_tree_add(tree, *ret_slot, costs);
    if (tree->n_added > REBUILD_FACTOR * front->n + REBUILD_MIN) {
        tree_rebuild(front);
    }
    return true;
}

static void costs_of(const struct front *front, size_t index, double *ret_costs)
{
    struct search_candidate member;
    shelf_get(&front->members, front->entries[index].slot, &member);
    goal_costs(front->spec, member.values, ret_costs);
}

/* Drop every second member, but neither the last nor one that is the best in some cost. */
static void thin(struct front *front)
{
    size_t best[SEARCH_METRICS_MAX] = {0};
    double least[SEARCH_METRICS_MAX], costs[SEARCH_METRICS_MAX];
    costs_of(front, 0, least);
    for (size_t i = 0; i < front->n; i++) {
        front->marked[front->entries[i].slot] = i % 2 == 1 && i + 1 < front->n;
        costs_of(front, i, costs);
        for (size_t c = 0; c < front->spec->n_front; c++) {
            best[c] = costs[c] < least[c] ? i : best[c];
            least[c] = costs[c] < least[c] ? costs[c] : least[c];
        }
    }
    for (size_t c = 0; c < front->spec->n_front; c++) {
        front->marked[front->entries[best[c]].slot] = 0;
    }
    drop_marked(front);
    if (front->spec->n_front > 2) {
        tree_rebuild(front);
    }
}

bool front_offer(struct front *front, uint64_t number, const double *values, const uint8_t *arch)
{
    double costs[SEARCH_METRICS_MAX] = {0};
    uint32_t slot = 0;
    goal_costs(front->spec, values, costs);
    struct front_entry entry = {.second = costs[1], .first = costs[0]};
    if (front->spec->n_front > 2 ? !place_many(front, entry, costs, &slot) : !place_two(front, entry, &slot)) {
        return false;
    }
    shelf_put(&front->members, slot, number, values, arch);
    if (front->n == front->capacity) {
        thin(front);
    }
    return true;
}
