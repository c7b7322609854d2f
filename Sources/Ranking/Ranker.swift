package import FeatureModel

/// One column of a model's matrix: where its number comes from, and how.
package struct RankerColumn: Hashable, Sendable {
    /// Where the value of a candidate comes from.
    package enum Input: Hashable, Sendable {
        /// A feature of the user or of the item, whichever entity the view has.
        case feature(FeatureReference)
        /// The score that the pipeline's recall source of that name gave the candidate; missing where it gave none.
        case recall(String)
        /// How much a feature of the item is like a feature of the user: see `FeatureMatch`.
        case match(user: FeatureReference, item: FeatureReference)
    }

    package let input: Input
    /// Always `number` but for a feature.
    package let encoding: FeatureEncoding

    package init(_ input: Input, _ encoding: FeatureEncoding = .number) {
        self.input = input
        self.encoding = encoding
    }
}

extension RankerColumn: CustomStringConvertible {
    /// `view:feature`, `recall SOURCE` for a source of candidates, or `A = B` for a match.
    package var description: String {
        switch input {
        case .feature(let reference): "\(reference.view):\(reference.feature)"
        case .recall(let source): "recall \(source)"
        case .match(let user, let item): "\(user.view):\(user.feature) = \(item.view):\(item.feature)"
        }
    }
}

/// Gives candidates scores: one loaded version of a model, in process or at another server.
///
/// May be called from any task, many at once; never blocks the thread of the caller for long.
package protocol Ranker: Sendable {
    /// The model's name in the config.
    var name: String { get }
    /// The name of the version's folder, or what the other server calls it.
    var version: String { get }
    /// The columns of the matrix, in order.
    var columns: [RankerColumn] { get }
    /// Whether it scores so many rows in this process and in a fraction of a millisecond, so that waiting for it is not a thing.
    func isImmediate(rows: Int) -> Bool

    /// One score a row, the higher the better; each is finite. A score that the model left open (NaN, infinite)
    /// comes as the lowest there is, `-Float.greatestFiniteMagnitude`.
    ///
    /// - Throws: `mismatch` when the matrix is not `columns` wide; otherwise what went wrong with the model.
    func score(_ matrix: FeatureMatrix, deadline: ContinuousClock.Instant) async throws(RankerError) -> [Float]
}

extension Ranker {
    package func isImmediate(rows: Int) -> Bool { false }

    /// Refuses what this model cannot score.
    package func check(_ matrix: FeatureMatrix) throws(RankerError) {
        guard matrix.columns == columns.count, matrix.values.count == matrix.rows * matrix.columns else {
            throw RankerError(
                .mismatch, "the matrix is not the model's",
                detail: "\(matrix.rows) rows of \(matrix.columns) columns, \(columns.count) are right")
        }
    }
}
