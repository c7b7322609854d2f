/// One pipeline: from recall to an answer. What it names is checked by `Config.validate`.
package struct PipelineConfig: Hashable, Sendable {
    /// A step of the ladder. Each needs less than the one before.
    package enum Rung: String, CaseIterable, Sendable {
        /// Candidates scored by the model.
        case ranking
        /// Candidates in the order of recall.
        case recall
        /// The last full answer that this user got.
        case lastGood = "last_good"
        /// The fallback list, from memory.
        case popularity
    }

    package let name: String
    /// The entity that is recommended to.
    package let user: String
    /// The entity that is recommended; it has one key.
    package let item: String
    /// How many items are answered where the request names no number.
    package let k: Int
    package let maximumK: Int
    /// The time of a request that brings no deadline of its own.
    package let timeout: Duration
    /// A call of a dependency that takes longer is slow, which its breaker counts.
    package let slowCall: Duration
    /// The most reads of rows that are sent a second time, as a share of all; 0 for none.
    package let hedge: Double
    /// In the order of the file, which decides between equals.
    package let sources: [RecallSourceConfig]
    /// The most candidates that are ranked.
    package let candidates: Int
    package let filters: [FilterConfig]
    /// The service whose features are read for ranking; `nil` for none.
    package let features: String?
    /// The model that ranks; `nil` for the order of recall.
    package let model: String?
    /// The share of the recall score in the final one, `0...1`.
    package let recallShare: Double
    /// In order; the last is `popularity`.
    package let ladder: [Rung]
    /// The list of the last rung.
    package let fallback: String
    package let lastGood: LastGoodConfig
    package let policy: PolicyConfig
    /// Where it stands in the file.
    let place: Place
    /// Where its keys stand, by their path from the pipeline on.
    let places: [String: Place]
}

/// Where candidates come from.
package struct RecallSourceConfig: Hashable, Sendable {
    package let name: String
    /// A list of `recall:`.
    package let list: String
    /// The user's feature that holds the items to start from, the latest first; `nil` for lists without seeds.
    package let seeds: FeatureReference?
    /// The user's feature that names the segment of the list, or several; `nil` for the list of all.
    package let segment: FeatureReference?
    /// The most candidates it gives.
    package let quota: Int
    /// How long it is waited for; the share of the stage holds as well.
    package let timeout: Duration
    /// What its scores count beside those of others.
    package let weight: Double
}

/// What candidates must be.
package struct FilterConfig: Hashable, Sendable {
    /// The test.
    package enum Rule: Hashable, Sendable {
        /// Not an element of the user's list.
        case notIn(FeatureReference)
        /// A feature of the item passes the test.
        case feature(FeatureReference, FilterTest)
        /// Not a line of the file.
        case file(String)
        /// Of items with one value of the feature so many in an answer.
        case atMost(FeatureReference, Int)
    }

    package let name: String
    package let rule: Rule
    /// Never skipped: what can't be tested leaves.
    package let isPolicy: Bool
}

/// What a feature's value must be.
package enum FilterTest: Hashable, Sendable {
    case equals(DocumentValue)
    case oneOf([DocumentValue])
    case noneOf([DocumentValue])
    /// Bounds, both included; `nil` for none.
    case between(Double?, Double?)

    /// Whether a value that is there passes.
    package func accepts(_ value: FeatureValue) -> Bool {
        switch self {
        case .equals(let wanted): value.equals(wanted)
        case .oneOf(let wanted): wanted.contains { value.equals($0) }
        case .noneOf(let unwanted): !unwanted.contains { value.equals($0) }
        case .between(let low, let high):
            value.bound.map { $0 >= low ?? -.infinity && $0 <= high ?? .infinity } ?? false
        }
    }
}

/// The answers kept for the rung `last_good`.
package struct LastGoodConfig: Hashable, Sendable {
    /// How many users' answers are kept.
    package let users: Int
    package let maximumAge: Duration
}

/// What is known of items' policy without the store.
package struct PolicyConfig: Hashable, Sendable {
    /// How often the items of the fallback list are looked at.
    package let refresh: Duration
    /// What was seen longer ago doesn't count, so the item leaves.
    package let maximumAge: Duration
    /// How many items are remembered.
    package let items: Int
}

extension FeatureValue {
    fileprivate func equals(_ wanted: DocumentValue) -> Bool {
        switch (self, wanted) {
        case (.bool(let flag), .flag(let wanted)): flag == wanted
        case (.string(let text), .text(let wanted)): text == wanted
        case (_, .integer(let wanted)): bound == Double(wanted)
        case (_, .number(let wanted)): bound == wanted
        default: false
        }
    }
}

extension FeatureReference {
    /// Takes `view:feature`; `nil` for anything else.
    package init?(spelling: String) {
        let parts = spelling.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts.allSatisfy(TextRule.name.accepts) else { return nil }
        self.init(view: parts[0], feature: parts[1])
    }
}
