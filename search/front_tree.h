/* front_tree.h - which members of a front does a point dominate, and is it dominated? Quick for three and more metrics.
 *
 * One idea: boxes within boxes over the members' costs (as in the ND-tree of Jaszkiewicz and Lust 2018). A box that does
 * not reach below the point in every cost holds nothing that dominates it; a box that does not reach above it in every
 * cost holds nothing that it dominates. Answers depend on the members alone, not on how the tree grew.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_FRONT_TREE_H
#define TAILOR_SEARCH_FRONT_TREE_H

#include "search/search.h"

struct front_node; /* a box; a leaf with a list of members, or two boxes */

struct front_tree {
    size_t n_costs;
    double *costs;            /* owned, (capacity, n_costs), by slot; smaller is better */
    uint32_t *next;           /* owned, (capacity): the next member in the same leaf */
    struct front_node *nodes; /* owned, (n_nodes_max); node 0 is the root */
    uint32_t *stack;          /* owned, (n_nodes_max): nodes still to visit */
    size_t n_nodes, n_nodes_max;
    size_t
        n_added; /* since it was last empty; boxes never shrink, so the owner rebuilds when this is far above its size */
};

TL_MUST_CHECK enum tl_rc front_tree_init(struct front_tree *tree, size_t n_costs, size_t capacity, struct tl_err *err);
void front_tree_done(struct front_tree *tree);
void front_tree_clear(struct front_tree *tree);

/* Is some member at most `costs` in every cost? */
bool front_tree_covers(const struct front_tree *tree, const double *costs);
/* Take out every member that `costs` is at most as high as in every cost, and set its byte in marked[slot]. Returns how
 * many. */
size_t front_tree_take_covered(struct front_tree *tree, const double *costs, uint8_t *marked);
/* Add a member under a slot that is not in use. Members differ in some cost. */
void front_tree_add(struct front_tree *tree, uint32_t slot, const double *costs);
const double *front_tree_costs(const struct front_tree *tree, uint32_t slot);

#endif
