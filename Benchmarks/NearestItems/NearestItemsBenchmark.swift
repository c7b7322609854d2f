import CHNSW
import Glibc
import Recall

/// Holds the two ways of finding an item's nearest against each other: comparing all with all over BLAS, as `tidemark recall
/// build` does, and hnswlib. Prints, for each, what a whole list of neighbours costs, and how much of the truth hnswlib finds.
@main struct NearestItemsBenchmark {
    static let dimension = 64
    static let limit = 50

    static func main() throws {
        let sizes = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        print(
            "dimension \(dimension), \(limit) neighbours of each item; hnswlib with 16 links, 200 wide when it builds")
        print("items    way        breadth  seconds  recall@\(limit)  time/exact")
        for count in sizes.isEmpty ? [500, 5_000, 20_000] : sizes { try measure(count) }
    }

    private static func measure(_ count: Int) throws {
        let vectors = clustered(count)
        var truth: [Set<UInt32>] = []
        truth.reserveCapacity(count)
        let start = ContinuousClock.now
        try NearestItems(vectors, dimension: dimension).each(limit: limit) { _, nearest in
            truth.append(Set(nearest.map(\.item)))
        }
        let exact = ContinuousClock.now - start
        row(count, "exact", "-", exact, 1, exact)
        guard let index = Graph(vectors, dimension: dimension) else { return print("hnswlib failed") }
        for breadth in [50, 100, 200, 400] {
            let start = ContinuousClock.now
            let found = index.all(vectors, breadth: breadth, limit: limit + 1)
            let spent = ContinuousClock.now - start + index.buildTime
            var hits = 0
            for (item, labels) in found.enumerated() {
                hits += labels.filter { Int($0) != item }.prefix(limit).count { truth[item].contains($0) }
            }
            let possible = truth.reduce(0) { $0 + $1.count }
            row(count, "hnswlib", "\(breadth)", spent, Double(hits) / Double(max(1, possible)), exact)
        }
    }

    private static func row(
        _ count: Int, _ way: String, _ breadth: String, _ time: Duration, _ recall: Double, _ exact: Duration
    ) {
        func rounded(_ value: Double) -> String { "\((value * 1_000).rounded() / 1_000)" }
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        print(
            padded("\(count)", 9) + padded(way, 11) + padded(breadth, 9) + padded(rounded(seconds(time)), 9)
                + padded(rounded(recall), 11) + rounded(seconds(time) / seconds(exact)))
    }

    private static func seconds(_ time: Duration) -> Double {
        let (whole, rest) = time.components
        return Double(whole) + Double(rest) / 1e18
    }

    /// Vectors of length 1 around a center for every fifty, as those of a shop's items are: near ones and far ones.
    private static func clustered(_ count: Int) -> [Float] {
        var state: UInt64 = 42
        func next() -> Float {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            mixed ^= mixed >> 31
            return Float(mixed >> 40) / Float(1 << 24) * 2 - 1
        }
        let centers = (0..<max(1, count / 50) * dimension).map { _ in next() }
        var vectors: [Float] = []
        for item in 0..<count {
            let center = item % max(1, count / 50) * dimension
            let vector = (0..<dimension).map { centers[center + $0] + 0.7 * next() }
            let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
            vectors += vector.map { $0 / length }
        }
        return vectors
    }
}

/// An index of hnswlib's. Used by one thread.
@safe final class Graph {
    private let raw: OpaquePointer
    private let dimension: Int
    private(set) var buildTime = Duration.zero

    init?(_ vectors: [Float], dimension: Int) {
        let count = vectors.count / dimension
        guard let made = unsafe fs_hnsw_make(dimension, count, 16, 200) else { return nil }
        unsafe raw = unsafe made
        self.dimension = dimension
        let start = ContinuousClock.now
        for item in 0..<count {
            let status = unsafe vectors.withUnsafeBufferPointer { vectors in
                unsafe fs_hnsw_add(raw, vectors.baseAddress.map { unsafe $0 + item * dimension }, UInt32(item))
            }
            guard status == 0 else { return nil }
        }
        buildTime = ContinuousClock.now - start
    }

    deinit { unsafe fs_hnsw_free(raw) }

    /// The nearest of each vector, itself among them.
    func all(_ vectors: [Float], breadth: Int, limit: Int) -> [[UInt32]] {
        unsafe fs_hnsw_set_breadth(raw, breadth)
        var labels = [UInt32](repeating: 0, count: limit)
        return (0..<vectors.count / dimension).map { item in
            let count = unsafe vectors.withUnsafeBufferPointer { vectors in
                unsafe fs_hnsw_search(
                    raw, vectors.baseAddress.map { unsafe $0 + item * dimension }, limit, &labels)
            }
            return Array(labels.prefix(max(0, Int(count))))
        }
    }
}
