/* subject.h - how a measurement names the network it timed: "net-" and one letter an option, in the whole space's order. A
 * name that can be read back, so that a measurement alone says what was timed. (Blocks are named by their keys.)
 */
#ifndef TAILOR_SUBJECT_H
#define TAILOR_SUBJECT_H

#include "search/space.h"
#include "supernet/network.h"

enum { SUBJECT_TEXT = SPACE_VARIABLES_MAX + 5 };

void subject_of_arch(const struct space *space, const uint8_t *canonical, char ret_text[SUBJECT_TEXT]);
/* False: not a network of this space. */
bool subject_parse(const struct space *space, const char *text, uint8_t *ret_arch);

/* The canonical architecture in space_of_family(family) of a pick of that family. */
void arch_of_pick(const struct net_family *family, const struct space *space, const struct net_pick *pick,
                  uint8_t *ret_arch);

#endif
