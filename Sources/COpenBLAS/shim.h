#pragma once
#include <cblas.h>

// LAPACK's solver for symmetric positive definite systems is in the same library; liblapacke's header is not needed for it.
extern void sposv_(const char *uplo, const int *n, const int *nrhs, float *a, const int *lda, float *b, const int *ldb,
                   int *info);

static inline int fs_sposv_lower(int n, float *a, float *b) {
    int one = 1, info = 0;
    sposv_("L", &n, &one, a, &n, b, &n, &info);
    return info;
}
