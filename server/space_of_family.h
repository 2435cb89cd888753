/* space_of_family.h - a family of networks as a search space, and an architecture of it as a pick of the family.
 *
 * Variables, in order: `resolution`; `stem.depth`, `stem.mid`, `stem.width`, `s1.width` .. where they are elastic (labels
 * of widths are the multipliers); `s1.depth` .. of the stages with elastic depth; then per slot `s1.b1.kernel` and
 * `s1.b1.expand` (labels are the numbers), or `s1.b1.op` (identity, k3e3, ..) in families that list choices, and `s1.op` where all slots of
 * a stage hold the same; nothing where there is one option. A slot
 * that only some depths keep is active under those options of its stage's depth.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_SPACE_OF_FAMILY_H
#define TAILOR_SPACE_OF_FAMILY_H

#include "search/space.h"
#include "supernet/network.h"

/* The finished space of `family`, under the family's name. */
TL_MUST_CHECK enum tl_rc space_of_family(const struct net_family *family, struct space *ret_space, struct tl_err *err);

/* The pick that `arch` (valid, a byte a variable) of `space` stands for. `space` is that of space_of_family for this
 * family or for a copy of it with fewer resolutions. */
void pick_of_arch(const struct net_family *family, const struct space *space, const uint8_t *arch,
                  struct net_pick *ret_pick);

#endif
