import CXGBoost

/// Rows to learn from: groups of candidates, each row with how relevant it was.
package struct RankingSet: Sendable {
    package var columns: Int
    /// Row after row, NaN where missing.
    package var values: [Float] = []
    /// How relevant each row was, from 0.
    package var labels: [Float] = []
    /// How many rows each group has, in order; each at least 1.
    package var groups: [Int] = []

    package init(columns: Int) {
        self.columns = columns
    }

    /// How many rows all groups have together.
    package var rows: Int { labels.count }

    /// Adds a group of rows that lie behind each other.
    package mutating func append(_ matrix: FeatureMatrix, labels: [Float]) {
        guard matrix.columns == columns, matrix.rows == labels.count, !labels.isEmpty else { return }
        values.append(contentsOf: matrix.values)
        self.labels.append(contentsOf: labels)
        groups.append(labels.count)
    }

    /// Some rows as a matrix.
    package func matrix(_ rows: Range<Int>) -> FeatureMatrix {
        var matrix = FeatureMatrix(rows: rows.count, columns: columns)
        matrix.values = Array(values[rows.lowerBound * columns..<rows.upperBound * columns])
        return matrix
    }
}

/// What a training is told.
package struct BoosterParameters: Sendable, Hashable {
    package var rounds = 300
    /// How many rounds without a better result end it.
    package var patience = 30
    package var depth = 5
    package var learningRate = 0.1
    package var minimumChildWeight = 1.0
    package var rowShare = 0.8
    package var columnShare = 0.8
    package var seed: UInt64 = 1

    package init() {}

    /// LambdaMART on one thread: the same input gives the same model, byte for byte.
    var pairs: [(String, String)] {
        [
            ("verbosity", "0"), ("nthread", "1"), ("objective", "rank:ndcg"), ("tree_method", "hist"),
            ("max_depth", "\(depth)"), ("eta", "\(learningRate)"), ("min_child_weight", "\(minimumChildWeight)"),
            ("subsample", "\(rowShare)"), ("colsample_bytree", "\(columnShare)"), ("seed", "\(seed & 0x7fff_ffff)"),
        ]
    }
}

/// A trained model.
package struct TrainedBooster: Sendable {
    /// UBJSON.
    package let model: [UInt8]
    /// The rounds it has: those up to the best result.
    package let rounds: Int
    /// The result on the validation set.
    package let score: Double
}

/// Trains boosters with LambdaMART. Runs on the caller's thread until it is done: minutes, for millions of rows.
package enum BoosterTrainer {
    /// Learns from one set, and stops when `measure` of the scores of the other gets no better.
    ///
    /// `measure` is called once a round, with the round and one score a row; the higher, the better.
    ///
    /// - Returns: The model of the best round.
    /// - Throws: `CancellationError` when the task is cancelled between rounds, a `RankerError` otherwise.
    package static func train(
        _ training: RankingSet, validation: RankingSet, _ parameters: BoosterParameters,
        measure: (_ round: Int, _ scores: [Float]) -> Double
    ) throws -> TrainedBooster {
        guard training.rows > 0, validation.rows > 0 else {
            throw RankerError(.mismatch, "there is nothing to learn from")
        }
        let learned = try TrainingMatrix(training)
        let held = try TrainingMatrix(validation)
        let booster = try unsafe Booster(training: [learned.raw, held.raw], parameters: parameters.pairs)
        var best = (round: 0, score: -Double.infinity)
        for round in 0..<max(1, parameters.rounds) {
            try Task.checkCancellation()
            try unsafe booster.update(round: round, matrix: learned.raw)
            let score = try unsafe measure(round, booster.predict(held.raw, rows: validation.rows))
            if score > best.score { best = (round, score) }
            if round - best.round >= parameters.patience { break }
        }
        return TrainedBooster(
            model: try booster.model(rounds: best.round + 1), rounds: best.round + 1, score: best.score)
    }
}

/// A set in the library's form.
@safe private final class TrainingMatrix {
    let raw: DMatrixHandle

    init(_ set: RankingSet) throws(RankerError) {
        var made: DMatrixHandle?
        try Booster.check("the rows can't be taken over") {
            unsafe XGDMatrixCreateFromMat(
                set.values, bst_ulong(set.rows), bst_ulong(set.columns), Float.nan, &made)
        }
        guard let made = unsafe made else { throw RankerError(.failed, "the rows can't be taken over") }
        unsafe raw = unsafe made
        // From here on deinit frees the handle.
        let groups = set.groups.map { UInt32(clamping: $0) }
        try Booster.check("the labels are refused") {
            unsafe XGDMatrixSetFloatInfo(raw, "label", set.labels, bst_ulong(set.labels.count))
        }
        try Booster.check("the groups are refused") {
            unsafe XGDMatrixSetUIntInfo(raw, "group", groups, bst_ulong(groups.count))
        }
    }

    deinit {
        unsafe XGDMatrixFree(raw)
    }
}
