/// Finds the vectors nearest to some, by comparing with all of them.
enum VectorSearch {
    /// The best items by cosine, of `artifact`'s, whose vectors have length 1.
    static func nearest(
        to seeds: [(item: Int, weight: Float)], in artifact: RecallArtifact, limit: Int, leavingOut left: Set<UInt32>
    ) -> [TopScores.Entry] {
        let dimension = artifact.dimension
        var sought = [Float](repeating: 0, count: dimension)
        for seed in seeds {
            for index in 0..<dimension {
                sought[index] += seed.weight * artifact.vectors[seed.item * dimension + index]
            }
        }
        normalize(&sought)
        var best = TopScores(limit: limit)
        scan(artifact.vectors.span, sought.span, count: artifact.ids.count) { item, score in
            if let threshold = best.threshold, score < threshold { return }
            if !left.contains(item) { best.offer(item, score) }
        }
        return best.sorted()
    }

    private static func scan(
        _ vectors: Span<Float>, _ sought: Span<Float>, count: Int, _ found: (UInt32, Float) -> Void
    ) {
        for item in 0..<count {
            let start = item * sought.count
            var sum = SIMD8<Float>(repeating: 0)
            var place = 0
            while place + 8 <= sought.count {
                var a = SIMD8<Float>()
                var b = SIMD8<Float>()
                for lane in 0..<8 {
                    a[lane] = vectors[start + place + lane]
                    b[lane] = sought[place + lane]
                }
                sum += a * b
                place += 8
            }
            var score = sum.sum()
            while place < sought.count {
                score += vectors[start + place] * sought[place]
                place += 1
            }
            found(UInt32(clamping: item), score)
        }
    }

    /// Makes a vector's length 1; one of length 0 stays.
    static func normalize(_ vector: inout [Float]) {
        let square = vector.reduce(0) { $0 + $1 * $1 }
        guard square > 0, square.isFinite else { return }
        let length = square.squareRoot()
        for index in vector.indices { vector[index] /= length }
    }
}
