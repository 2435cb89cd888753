/* families.h - the shipped families as text; private to supernet. */
#ifndef TAILOR_SUPERNET_FAMILIES_H
#define TAILOR_SUPERNET_FAMILIES_H

/* The files of supernet/families/, each ended by a NUL, then an empty one. Static. CMake writes the list. */
extern const char net_family_texts[];

#endif
