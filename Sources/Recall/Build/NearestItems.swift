import COpenBLAS

/// The nearest of each vector, by cosine, found by comparing each with all: exact, and once a build instead of once a request.
///
/// `Benchmarks/NearestItems` holds this against hnswlib; its README has the figures and why this is what is used.
package struct NearestItems {
    private let dimension: Int
    private let count: Int
    /// Each of length 1, or 0.
    private let vectors: [Float]

    /// The most products held at once.
    private static let block = 4 << 20

    /// Takes vectors of any length, one behind the other.
    package init(_ vectors: [Float], dimension: Int) {
        self.dimension = dimension
        count = vectors.count / dimension
        var normal = vectors
        for item in 0..<count {
            let range = item * dimension..<(item + 1) * dimension
            let square = normal[range].reduce(0) { $0 + $1 * $1 }
            let length = square > 0 && square.isFinite ? square.squareRoot() : .infinity
            for index in range { normal[index] = normal[index].isFinite ? normal[index] / length : 0 }
        }
        self.vectors = normal
        openblas_set_num_threads(Int32(clamping: max(1, openblas_get_num_procs())))
    }

    /// Hands over each item's nearest, best first, those with a cosine above 0; among equals those of lower `rank` first.
    ///
    /// - Throws: What `found` throws, and `CancellationError`.
    package func each(
        limit: Int, rank: [UInt32]? = nil,
        _ found: (_ item: Int, _ nearest: [(item: UInt32, score: Float)]) throws -> Void
    ) throws {
        let rowsAtOnce = max(1, min(256, Self.block / max(1, count)))
        var products = [Float](repeating: 0, count: rowsAtOnce * count)
        var itemOfRank = [UInt32](repeating: 0, count: count)
        for item in 0..<count { itemOfRank[Int(rank?[item] ?? UInt32(clamping: item))] = UInt32(clamping: item) }
        var first = 0
        while first < count {
            try Task.checkCancellation()
            let rows = min(rowsAtOnce, count - first)
            multiply(first, rows, into: &products)
            for row in 0..<rows {
                let item = first + row
                var best = TopScores(limit: limit)
                scan(products.span.extracting(row * count..<(row + 1) * count), except: item, rank, &best)
                try found(item, best.sorted().map { (itemOfRank[Int($0.item)], $0.score) })
            }
            first += rows
        }
    }

    private func scan(_ scores: Span<Float>, except item: Int, _ rank: [UInt32]?, _ best: inout TopScores) {
        for other in 0..<scores.count {
            let score = scores[other]
            guard score > 0, other != item else { continue }
            if let threshold = best.threshold, score < threshold { continue }
            best.offer(rank?[other] ?? UInt32(clamping: other), min(score, 1))
        }
    }

    private func multiply(_ first: Int, _ rows: Int, into products: inout [Float]) {
        let (width, all) = (Int32(clamping: dimension), Int32(clamping: count))
        unsafe vectors.withUnsafeBufferPointer { vectors in
            unsafe products.withUnsafeMutableBufferPointer { products in
                guard let start = vectors.baseAddress else { return }
                unsafe cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, Int32(clamping: rows), all, width, 1,
                    start + first * dimension, width, start, width, 0, products.baseAddress, all)
            }
        }
    }
}
