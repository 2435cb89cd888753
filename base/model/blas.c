/* blas.c - OpenBLAS held to one thread: parallelism is ours, so that results never depend on the number of threads. */
#include "base/model/model.h"

#include <cblas.h>

void model_blas_single_thread(void)
{
    openblas_set_num_threads(1);
}
