/* fuzz.h - what a fuzz target defines: one call, any bytes, and nothing bad happens. A broken promise aborts. */
#ifndef TAILOR_TESTS_FUZZ_H
#define TAILOR_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void must(int promise)
{
    if (!promise) {
        abort();
    }
}

#endif
