/* front_tree.c - binary boxes, cut in the middle of the widest cost once a leaf is full; see front_tree.h. */
#include "search/front_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAF_MAX = 16 };

static const uint32_t NONE = UINT32_MAX; /* no member */

struct front_node {
    double low[SEARCH_METRICS_MAX], high[SEARCH_METRICS_MAX]; /* hold all members ever added below */
    uint32_t first;                                           /* of a leaf: its members' list, or NONE */
    uint32_t n;                                               /* of a leaf: how many */
    uint32_t children;                                        /* the first of two neighbours; 0: a leaf */
    uint32_t cut;                                             /* cost that is cut */
    double at;                                                /* members with at most this are in the first child */
};

/* a <= b in every cost. */
static bool at_most(const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] > b[i]) {
            return false;
        }
    }
    return true;
}

static uint32_t node_new(struct front_tree *tree)
{
    struct front_node *node = &tree->nodes[tree->n_nodes];
    *node = (struct front_node){.first = NONE};
    for (size_t i = 0; i < tree->n_costs; i++) {
        node->low[i] = (double)INFINITY;
        node->high[i] = -(double)INFINITY;
    }
    return (uint32_t)tree->n_nodes++;
}

enum tl_rc front_tree_init(struct front_tree *tree, size_t n_costs, size_t capacity, struct tl_err *err)
{
    *tree = (struct front_tree){.n_costs = n_costs, .n_nodes_max = capacity + 1};
    tree->costs = calloc(capacity, n_costs * sizeof *tree->costs);
    tree->next = calloc(capacity, sizeof *tree->next);
    tree->nodes = calloc(tree->n_nodes_max, sizeof *tree->nodes);
    tree->stack = calloc(tree->n_nodes_max, sizeof *tree->stack);
    if (!tree->costs || !tree->next || !tree->nodes || !tree->stack) {
        front_tree_done(tree);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a front of %zu", capacity);
    }
    front_tree_clear(tree);
    return TL_OK;
}

void front_tree_done(struct front_tree *tree)
{
    free(tree->costs);
    free(tree->next);
    free(tree->nodes);
    free(tree->stack);
    *tree = (struct front_tree){0};
}

void front_tree_clear(struct front_tree *tree)
{
    tree->n_nodes = 0;
    tree->n_added = 0;
    (void)node_new(tree);
}

const double *front_tree_costs(const struct front_tree *tree, uint32_t slot)
{
    return tree->costs + slot * tree->n_costs;
}

static bool leaf_covers(const struct front_tree *tree, const struct front_node *leaf, const double *costs)
{
    for (uint32_t slot = leaf->first; slot != NONE; slot = tree->next[slot]) {
        if (at_most(front_tree_costs(tree, slot), costs, tree->n_costs)) {
            return true;
        }
    }
    return false;
}

bool front_tree_covers(const struct front_tree *tree, const double *costs)
{
    size_t n = 0;
    tree->stack[n++] = 0;
    while (n > 0) {
        const struct front_node *node = &tree->nodes[tree->stack[--n]];
        if (!at_most(node->low, costs, tree->n_costs)) {
            continue;
        }
        if (node->children) {
            tree->stack[n++] = node->children + 1;
            tree->stack[n++] = node->children;
        } else if (leaf_covers(tree, node, costs)) {
            return true;
        }
    }
    return false;
}

static size_t leaf_take_covered(struct front_tree *tree, struct front_node *leaf, const double *costs, uint8_t *marked)
{
    uint32_t n = 0;
    uint32_t *link = &leaf->first;
    while (*link != NONE) {
        uint32_t slot = *link;
        if (at_most(costs, front_tree_costs(tree, slot), tree->n_costs)) {
            marked[slot] = 1;
            n++;
            *link = tree->next[slot];
        } else {
            link = &tree->next[slot];
        }
    }
    leaf->n -= n;
    return n;
}

size_t front_tree_take_covered(struct front_tree *tree, const double *costs, uint8_t *marked)
{
    size_t n = 0, n_taken = 0;
    tree->stack[n++] = 0;
    while (n > 0) {
        struct front_node *node = &tree->nodes[tree->stack[--n]];
        if (!at_most(costs, node->high, tree->n_costs)) {
            continue;
        }
        if (node->children) {
            tree->stack[n++] = node->children + 1;
            tree->stack[n++] = node->children;
        } else {
            n_taken += leaf_take_covered(tree, node, costs, marked);
        }
    }
    return n_taken;
}

static void leaf_put(struct front_tree *tree, struct front_node *leaf, uint32_t slot)
{
    const double *costs = front_tree_costs(tree, slot);
    for (size_t i = 0; i < tree->n_costs; i++) {
        leaf->low[i] = fmin(leaf->low[i], costs[i]);
        leaf->high[i] = fmax(leaf->high[i], costs[i]);
    }
    tree->next[slot] = leaf->first;
    leaf->first = slot;
    leaf->n++;
}

/* The cost in which the members of a leaf lie farthest apart, and the middle of it. Boxes may be larger than what is left in
 * them, so the members themselves are looked at. Halves are compared because the difference could overflow. */
static void choose_cut(const struct front_tree *tree, struct front_node *leaf)
{
    double widest = -1;
    for (uint32_t c = 0; c < tree->n_costs; c++) {
        double low = (double)INFINITY, high = -(double)INFINITY;
        for (uint32_t slot = leaf->first; slot != NONE; slot = tree->next[slot]) {
            low = fmin(low, front_tree_costs(tree, slot)[c]);
            high = fmax(high, front_tree_costs(tree, slot)[c]);
        }
        if (high / 2 - low / 2 > widest) {
            double middle = low / 2 + high / 2;
            widest = high / 2 - low / 2;
            leaf->cut = c;
            leaf->at = middle < high ? middle : low; /* the highest goes to the second child, whatever is rounded */
        }
    }
}

/* Deal the members of a full leaf to two new ones. */
static void leaf_split(struct front_tree *tree, struct front_node *leaf)
{
    uint32_t children = node_new(tree), slot = leaf->first;
    (void)node_new(tree);
    choose_cut(tree, leaf);
    while (slot != NONE) {
        uint32_t next = tree->next[slot];
        bool second = front_tree_costs(tree, slot)[leaf->cut] > leaf->at;
        leaf_put(tree, &tree->nodes[children + second], slot);
        slot = next;
    }
    leaf->children = children;
    leaf->first = NONE;
    leaf->n = 0;
}

void front_tree_add(struct front_tree *tree, uint32_t slot, const double *costs)
{
    memcpy(tree->costs + slot * tree->n_costs, costs, tree->n_costs * sizeof *costs);
    struct front_node *node = &tree->nodes[0];
    while (node->children) {
        for (size_t i = 0; i < tree->n_costs; i++) {
            node->low[i] = fmin(node->low[i], costs[i]);
            node->high[i] = fmax(node->high[i], costs[i]);
        }
        node = &tree->nodes[node->children + (costs[node->cut] > node->at)];
    }
    leaf_put(tree, node, slot);
    tree->n_added++;
    if (node->n > LEAF_MAX &&
        tree->n_nodes + 2 <= tree->n_nodes_max) { /* without nodes leaves grow, no answer changes */
        leaf_split(tree, node);
    }
}
