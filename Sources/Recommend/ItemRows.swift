import FeatureModel
import OnlineStore

/// The rows of candidates.
struct ItemRows: Sendable {
    private let side: PipelinePlan.Side
    private let places: [EntityKeyValue: Int]
    private let rows: [[LookupAnswer.Value]]
    /// Whether some view could not be read.
    let hasFailures: Bool

    init(_ side: PipelinePlan.Side, _ ids: [EntityKeyValue], _ answer: LookupAnswer) {
        self.side = side
        places = Dictionary(ids.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        rows = answer.rows
        hasFailures = !answer.failures.isEmpty
    }

    /// The value with its word; `nil` for items and features that were not read.
    func reading(_ reference: FeatureReference, of id: EntityKeyValue) -> LookupAnswer.Value? {
        guard let place = places[id], let column = side.columns[reference] else { return nil }
        return rows[place][column]
    }

    /// A value that is there.
    func value(_ reference: FeatureReference, of id: EntityKeyValue) -> FeatureValue? {
        guard let reading = reading(reference, of: id), reading.isUsable else { return nil }
        return reading.value
    }

    /// For explanations: all that is known of an item, in the order it was read.
    func all(of id: EntityKeyValue) -> [(FeatureReference, FeatureValue)] {
        side.plan.features.compactMap { reference in value(reference, of: id).map { (reference, $0) } }
    }
}
