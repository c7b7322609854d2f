import FeatureModel
import OnlineStore

/// The rows of items, by their place in the read.
struct ItemRows: Sendable {
    private let side: PipelinePlan.Side
    private let answer: LookupAnswer
    /// Whether some view could not be read.
    let hasFailures: Bool

    init(_ side: PipelinePlan.Side, _ answer: LookupAnswer) {
        self.side = side
        self.answer = answer
        hasFailures = !answer.failures.isEmpty
    }

    /// Where a feature stands in each row; `nil` for one that was not read.
    func column(_ reference: FeatureReference) -> Int? { side.columns[reference] }

    /// The value with its word.
    func reading(_ column: Int, at row: Int) -> LookupAnswer.Value { answer.value(column, at: row) }

    /// Calls `body` with the numbers of a feature, for many rows after each other; `false` for a feature that is no number.
    func withNumbers(_ column: Int, _ body: (borrowing LookupAnswer.Numbers) -> Void) -> Bool {
        answer.withNumbers(column, body)
    }

    /// A value that is there.
    func value(_ column: Int, at row: Int) -> FeatureValue? {
        let reading = answer.value(column, at: row)
        return reading.isUsable ? reading.value : nil
    }

    /// For explanations: all that is known of an item, in the order it was read.
    func all(at row: Int) -> [(FeatureReference, FeatureValue)] {
        side.plan.features.compactMap { reference in
            column(reference).flatMap { value($0, at: row) }.map { (reference, $0) }
        }
    }
}
