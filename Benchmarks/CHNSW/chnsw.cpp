#include "chnsw.h"

#include <hnswlib/hnswlib.h>

#include <memory>

struct fs_hnsw {
    hnswlib::InnerProductSpace space;
    hnswlib::HierarchicalNSW<float> graph;

    fs_hnsw(size_t dimension, size_t count, size_t links, size_t build_breadth)
        : space(dimension), graph(&space, count, links, build_breadth) {}
};

fs_hnsw *fs_hnsw_make(size_t dimension, size_t count, size_t links, size_t build_breadth) {
    try {
        return new fs_hnsw(dimension, count, links, build_breadth);
    } catch (...) {
        return nullptr;
    }
}

void fs_hnsw_free(fs_hnsw *index) { delete index; }

int fs_hnsw_add(fs_hnsw *index, const float *vector, uint32_t label) {
    try {
        index->graph.addPoint(vector, label);
        return 0;
    } catch (...) {
        return -1;
    }
}

void fs_hnsw_set_breadth(fs_hnsw *index, size_t breadth) { index->graph.setEf(breadth); }

int fs_hnsw_search(const fs_hnsw *index, const float *vector, size_t limit, uint32_t *labels) {
    try {
        auto found = index->graph.searchKnn(vector, limit);
        int count = static_cast<int>(found.size());
        for (int place = count - 1; place >= 0; place--) {
            labels[place] = static_cast<uint32_t>(found.top().second);
            found.pop();
        }
        return count;
    } catch (...) {
        return -1;
    }
}
