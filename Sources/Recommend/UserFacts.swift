import FeatureModel
import OnlineStore

/// What is known of the user: the row, and in its place what the request brings.
struct UserFacts: Sendable {
    private var values: [FeatureReference: FeatureValue] = [:]

    init(_ side: PipelinePlan.Side?, _ answer: LookupAnswer?, context: [FeatureReference: FeatureValue]) {
        if let side, let answer, answer.count > 0 {
            for (reference, column) in side.columns {
                let reading = answer.value(column, at: 0)
                if reading.isUsable { values[reference] = reading.value }
            }
        }
        values.merge(context) { _, given in given }
    }

    /// A value that is there.
    func value(_ reference: FeatureReference) -> FeatureValue? { values[reference] }

    /// The items of a list, in its order.
    func items(_ reference: FeatureReference) -> [EntityKeyValue] {
        switch values[reference] {
        case .list(let elements): elements.compactMap(\.key)
        case let value?: value.key.map { [$0] } ?? []
        case nil: []
        }
    }

    /// For explanations: all that is known, by name.
    var all: [(FeatureReference, FeatureValue)] {
        values.sorted { ($0.key.view, $0.key.feature) < ($1.key.view, $1.key.feature) }.map { ($0.key, $0.value) }
    }
}

extension LookupAnswer.Value {
    /// Whether it stands for something.
    var isUsable: Bool {
        switch status {
        case .present, .defaulted: true
        case .nullValue, .notFound, .outsideMaxAge, .failed: false
        }
    }
}
