#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// An index of vectors by inner product. Calls return 0, or -1 when the library threw; no exception leaves.
typedef struct fs_hnsw fs_hnsw;

fs_hnsw *fs_hnsw_make(size_t dimension, size_t count, size_t links, size_t build_breadth);
void fs_hnsw_free(fs_hnsw *index);
int fs_hnsw_add(fs_hnsw *index, const float *vector, uint32_t label);
void fs_hnsw_set_breadth(fs_hnsw *index, size_t breadth);
// Fills labels with the nearest, best first; returns how many, or -1.
int fs_hnsw_search(const fs_hnsw *index, const float *vector, size_t limit, uint32_t *labels);

#ifdef __cplusplus
}
#endif
