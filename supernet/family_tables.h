/* family_tables.h - the families that are shipped; private to supernet.
 *
 * Adding one: a struct and a line in the table of family_tables.c.
 */
#ifndef TAILOR_SUPERNET_FAMILY_TABLES_H
#define TAILOR_SUPERNET_FAMILY_TABLES_H

#include "supernet/network.h"

extern const struct net_family *const net_family_table[]; /* static */
extern const size_t net_family_table_count;

#endif
