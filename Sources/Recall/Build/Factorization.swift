import COpenBLAS
import FeatureModel

/// Numbers of a sparse matrix, row by row.
struct SparseRows {
    /// Where each row starts, and where the last one ends.
    var starts = [0]
    var columns: [UInt32] = []
    var values: [Float] = []

    var rowCount: Int { starts.count - 1 }

    /// The same numbers by columns.
    func transposed(columnCount: Int) -> SparseRows {
        var result = SparseRows()
        result.starts = [Int](repeating: 0, count: columnCount + 1)
        for column in columns { result.starts[Int(column) + 1] += 1 }
        for column in 0..<columnCount { result.starts[column + 1] += result.starts[column] }
        var next = result.starts
        result.columns = [UInt32](repeating: 0, count: columns.count)
        result.values = [Float](repeating: 0, count: columns.count)
        for row in 0..<rowCount {
            for place in starts[row]..<starts[row + 1] {
                let column = Int(columns[place])
                result.columns[next[column]] = UInt32(clamping: row)
                result.values[next[column]] = values[place]
                next[column] += 1
            }
        }
        return result
    }

    /// How often each user met each item, newer meetings counting more. Users of a single item relate it to nothing and are
    /// left out. The log must be finished.
    init(_ log: MeetingLog, decay: (Int64) -> Double) {
        var start = 0
        while start < log.meetings.count {
            var end = start
            var items: [UInt32: Double] = [:]
            while end < log.meetings.count, log.meetings[end].user == log.meetings[start].user {
                items[log.meetings[end].item, default: 0] += decay(log.meetings[end].time)
                end += 1
            }
            start = end
            guard items.count > 1 else { continue }
            for (item, value) in items.sorted(by: { $0.key < $1.key }) {
                columns.append(item)
                values.append(Float(value))
            }
            starts.append(columns.count)
        }
    }

    init() {}
}

/// Factorizes who met what into vectors: alternating least squares for implicit feedback, as Hu, Koren and Volinsky describe
/// it in "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008).
///
/// A meeting of strength r counts 1 + confidence · r as a 1, everything that never was counts 1 as a 0. Each round solves for
/// the users' vectors and then for the items'. Starts from seeded numbers: the same events give the same vectors.
struct Factorization {
    let config: VectorConfig
    private var dimension: Int { config.dimension }

    init(_ config: VectorConfig) {
        self.config = config
        // The systems are small: threads would cost more than they do. For the whole process, as OpenBLAS has it.
        openblas_set_num_threads(1)
    }

    /// A vector an item.
    ///
    /// - Throws: `CancellationError`.
    func itemVectors(_ users: SparseRows, itemCount: Int, progress: (_ done: Int, _ of: Int) -> Void) throws -> [Float]
    {
        let items = users.transposed(columnCount: itemCount)
        var itemVectors = initial(itemCount)
        var userVectors = [Float](repeating: 0, count: users.rowCount * dimension)
        for round in 0..<config.iterations {
            progress(round, config.iterations)
            try solve(users, against: itemVectors, into: &userVectors)
            try solve(items, against: userVectors, into: &itemVectors)
        }
        return itemVectors
    }

    /// Small numbers that a seed repeats (SplitMix64).
    private func initial(_ count: Int) -> [Float] {
        var state: UInt64 = 0x7469_6465_6d61_726b
        return (0..<count * dimension).map { _ in
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            mixed ^= mixed >> 31
            return (Float(mixed >> 40) / Float(1 << 24) - 0.5) * 0.2
        }
    }

    /// Solves for each row's vector while the columns' stand still.
    func solve(_ rows: SparseRows, against fixed: [Float], into vectors: inout [Float]) throws {
        let gram = gram(of: fixed)
        var system = gram
        var right = [Float](repeating: 0, count: dimension)
        var scaled: [Float] = []
        for row in 0..<rows.rowCount {
            if row % 1_024 == 0 { try Task.checkCancellation() }
            let places = rows.starts[row]..<rows.starts[row + 1]
            for index in system.indices { system[index] = gram[index] }
            gather(rows, places, fixed, &scaled, &right)
            addProduct(of: scaled, count: places.count, to: &system)
            let isSolved = unsafe system.withUnsafeMutableBufferPointer { system in
                unsafe right.withUnsafeMutableBufferPointer { right in
                    guard let matrix = system.baseAddress, let vector = right.baseAddress else { return false }
                    return unsafe fs_sposv_lower(Int32(clamping: dimension), matrix, vector) == 0
                }
            }
            // The ridge keeps systems positive definite; one that rounding spoils leaves its row where it belongs: nowhere.
            for index in 0..<dimension {
                let value = isSolved ? right[index] : 0
                vectors[row * dimension + index] = value.isFinite ? value : 0
            }
        }
    }

    /// `fixedᵀ · fixed + ridge`, its upper triangle by rows (which LAPACK reads as the lower one by columns).
    private func gram(of fixed: [Float]) -> [Float] {
        var gram = [Float](repeating: 0, count: dimension * dimension)
        addProduct(of: fixed, count: fixed.count / dimension, to: &gram)
        for index in 0..<dimension { gram[index * dimension + index] += Float(config.regularization) }
        return gram
    }

    /// Adds `rowsᵀ · rows` to the upper triangle.
    private func addProduct(of rows: [Float], count: Int, to matrix: inout [Float]) {
        guard count > 0 else { return }
        let width = Int32(clamping: dimension)
        unsafe rows.withUnsafeBufferPointer { rows in
            unsafe matrix.withUnsafeMutableBufferPointer { matrix in
                unsafe cblas_ssyrk(
                    CblasRowMajor, CblasUpper, CblasTrans, width, Int32(clamping: count), 1, rows.baseAddress, width, 1,
                    matrix.baseAddress, width)
            }
        }
    }

    /// The columns' vectors, each times the root of its confidence, and the right side.
    private func gather(
        _ rows: SparseRows, _ places: Range<Int>, _ fixed: [Float], _ scaled: inout [Float], _ right: inout [Float]
    ) {
        scaled.removeAll(keepingCapacity: true)
        for index in right.indices { right[index] = 0 }
        for place in places {
            let start = Int(rows.columns[place]) * dimension
            let confidence = Float(config.confidence) * rows.values[place]
            let root = confidence.squareRoot()
            for index in 0..<dimension {
                let value = fixed[start + index]
                scaled.append(root * value)
                right[index] += (1 + confidence) * value
            }
        }
    }
}
