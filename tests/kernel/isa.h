/* isa.h - a test program of the runtime runs under the instruction set that TAILOR_ISA names, or not at all. */
#ifndef TAILOR_TESTS_KERNEL_ISA_H
#define TAILOR_TESTS_KERNEL_ISA_H

#include "supernet/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ctest's SKIP_RETURN_CODE where the processor lacks the set that was asked for; else 0. */
static inline int isa_missing(void)
{
    const char *wanted = getenv("TAILOR_ISA"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (wanted != NULL && strcmp(wanted, net_isa()) != 0) {
        (void)fprintf(stderr, "skipped: this processor has no %s; it would run %s\n", wanted, net_isa());
        return 77;
    }
    return 0;
}

#endif
