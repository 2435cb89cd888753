/* isa.c - which instruction set's kernels run, decided once. */
#include "supernet/kernels/gradient.h"
#include "supernet/kernels/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct k_table *choose(void)
{
#if defined(__x86_64__)
    const char *limit = getenv("TAILOR_ISA"); /* NOLINT(concurrency-mt-unsafe): the environment is never written */
    const bool plain = limit != NULL && strcmp(limit, "plain") == 0;
    const bool narrow = plain || (limit != NULL && strcmp(limit, "avx2") == 0);
    const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!narrow && fma && __builtin_cpu_supports("avx512f")) {
        return &k_table_avx512;
    }
    if (!plain && fma) {
        return &k_table_avx2;
    }
#endif
    return &k_table_plain;
}

const struct k_table *k_table_best(void)
{
    static const struct k_table *_Atomic chosen;
    const struct k_table *table = atomic_load_explicit(&chosen, memory_order_acquire);
    if (table == NULL) { /* threads that meet here choose the same */
        table = choose();
        atomic_store_explicit(&chosen, table, memory_order_release);
    }
    return table;
}

const char *net_isa(void)
{
    return k_table_best()->name;
}

const struct k_gradient_table *k_gradient_best(void)
{
#if defined(__x86_64__)
    if (k_table_best() == &k_table_avx512) {
        return &k_gradient_avx512;
    }
    if (k_table_best() == &k_table_avx2) {
        return &k_gradient_avx2;
    }
#endif
    return &k_gradient_plain;
}
