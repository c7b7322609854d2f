package import FeatureModel

/// What is asked of a pipeline.
package struct RecommendRequest: Sendable {
    package var pipeline: String
    /// The user's key columns.
    package var entity: [String: EntityKeyValue]
    /// How many items; `nil` for the pipeline's own number.
    package var k: Int?
    /// The only items that may be answered, in the caller's order; `nil` to recall them.
    package var candidates: [EntityKeyValue]?
    /// Items that may not be answered.
    package var exclude: [EntityKeyValue]
    /// Features that the request brings, by `view:feature`; they count in place of what is stored.
    package var context: [FeatureReference: FeatureValue]
    package var explain: Bool
    package var requestID: String

    package init(
        pipeline: String, entity: [String: EntityKeyValue], k: Int? = nil, candidates: [EntityKeyValue]? = nil,
        exclude: [EntityKeyValue] = [], context: [FeatureReference: FeatureValue] = [:], explain: Bool = false,
        requestID: String = ""
    ) {
        self.pipeline = pipeline
        self.entity = entity
        self.k = k
        self.candidates = candidates
        self.exclude = exclude
        self.context = context
        self.explain = explain
        self.requestID = requestID
    }
}

/// A request that gets no items.
package struct RecommendError: Error, Sendable, Hashable {
    /// What is wrong, and so how it is answered.
    package enum Code: Sendable, CaseIterable {
        /// There is no pipeline of that name.
        case unknownPipeline
        /// The request doesn't fit the pipeline.
        case wrongRequest
        /// It asks for more than it may.
        case tooLarge
        /// There is nothing at all to answer with: the fallback list was never loaded.
        case unavailable
    }

    package let code: Code
    package let description: String
    /// From the body to what is wrong: `["entity", "user_id"]`.
    package let path: [String]

    package init(_ code: Code, _ description: String, at path: [String] = []) {
        self.code = code
        self.description = description
        self.path = path
    }
}

/// What a pipeline answers.
package struct RecommendAnswer: Sendable {
    /// One item.
    package struct Item: Sendable, Hashable {
        package let id: EntityKeyValue
        /// Comparable within one answer only.
        package let score: Double
        /// The recall source that speaks for it most; `request` where the caller named it.
        package let source: String
    }

    package var items: [Item]
    package let rung: PipelineConfig.Rung
    /// The model that ranked, with its version; `nil` on other rungs.
    package let model: String?
    package let version: String?
    /// What did not do its part, with the reason in a word; in the order it was noticed.
    package var degraded: [Degradation]
    package var explain: Explanation?

    /// A stage or a source that did not do its part.
    package struct Degradation: Sendable, Hashable {
        package let part: String
        package let reason: String
    }
}

/// How an answer came about.
package struct Explanation: Sendable {
    /// A stage that was begun or skipped.
    package struct Stage: Sendable {
        package let name: String
        package let outcome: String
        package let taken: Duration
        /// What it was given; `nil` where it was skipped.
        package let allotted: Duration?
    }

    /// A candidate: where it came from, what was known of it and what became of it.
    package struct Candidate: Sendable {
        package let id: EntityKeyValue
        /// Source, its own score, and the place there, from 1.
        package var sources: [(name: String, score: Float, place: Int)]
        package var recall: Double
        package var rank: Float?
        package var score: Double?
        /// From 1, in the answer; `nil` where it left.
        package var position: Int?
        /// Why it left: the name of a filter, `exclude`, `candidates` for the limit of them, or `k`.
        package var left: String?
        package var features: [(FeatureReference, FeatureValue)]
    }

    package var stages: [Stage] = []
    package var user: [(FeatureReference, FeatureValue)] = []
    package var candidates: [Candidate] = []
}
