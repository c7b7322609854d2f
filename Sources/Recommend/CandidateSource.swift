package import FeatureModel
package import Recall

/// What a source is asked for.
package struct CandidateQuery: Sendable {
    /// The user's items, the latest first; `nil` where the source has none.
    package var seeds: [EntityKeyValue]?
    /// Of the user, the one that weighs most first; none for the list of all.
    package var segments: [String] = []
    package var limit: Int
    /// Items that will not be taken; some may stand there twice.
    package var excluding: [EntityKeyValue]
}

/// Why a source gave nothing.
package struct CandidateError: Error, Sendable {
    /// One word, for metrics and answers.
    package let reason: String
    /// Whether that speaks against the dependency.
    package let isFault: Bool

    package init(_ reason: String, isFault: Bool = true) {
        self.reason = reason
        self.isFault = isFault
    }
}

/// Where candidates come from.
package protocol CandidateSource: Sendable {
    /// Whether it answers from the memory of this process, so that waiting for it is not a thing.
    var isImmediate: Bool { get }
    /// Candidates, best first. What comes after `deadline` is not looked at.
    func candidates(
        _ query: CandidateQuery, deadline: ContinuousClock.Instant
    ) async throws(CandidateError) -> [ScoredItem]
}

/// A list as a source.
package struct ListSource: CandidateSource {
    private let name: String
    private let list: @Sendable (String) -> (any ItemList)?

    package init(_ name: String, in list: @escaping @Sendable (String) -> (any ItemList)?) {
        self.name = name
        self.list = list
    }

    package var isImmediate: Bool { true }

    package func candidates(
        _ query: CandidateQuery, deadline: ContinuousClock.Instant
    ) async throws(CandidateError) -> [ScoredItem] {
        guard let list = list(name) else { throw CandidateError("no_list", isFault: false) }
        if let seeds = query.seeds {
            return list.neighbours(of: seeds, limit: query.limit, excluding: query.excluding)
        }
        return list.top(segments: query.segments, limit: query.limit)
    }
}
