import FeatureModel
import FoundationEssentials
import Recommend
import ServingProtos
import SwiftProtobuf

extension Tidemark_V1_RecommendResponse {
    /// What a pipeline answered.
    init(_ answer: RecommendAnswer, requestID: String) {
        self.init()
        items = answer.items.map { item in
            .with {
                $0.id = Tidemark_V1_Key(item.id)
                $0.score = item.score
                $0.source = item.source
            }
        }
        rung = Tidemark_V1_Rung(answer.rung)
        if let name = answer.model { model = name }
        if let number = answer.version { version = number }
        for part in answer.degraded { degraded[part.part] = part.reason }
        self.requestID = requestID
        if let explanation = answer.explain { explain = Tidemark_V1_Explanation(explanation) }
    }
}

extension Tidemark_V1_Key {
    /// The same key.
    init(_ key: EntityKeyValue) {
        self.init()
        switch key {
        case .integer(let number): integer = number
        case .text(let text): string = text
        case .bytes(let bytes): self.bytes = Data(bytes)
        }
    }
}

extension Tidemark_V1_Rung {
    /// The same rung.
    init(_ rung: PipelineConfig.Rung) {
        switch rung {
        case .ranking: self = .ranking
        case .recall: self = .recall
        case .lastGood: self = .lastGood
        case .popularity: self = .popularity
        }
    }
}

extension Tidemark_V1_Explanation {
    /// How an answer came about.
    init(_ explanation: Explanation) {
        self.init()
        stages = explanation.stages.map { stage in
            .with {
                $0.name = stage.name
                $0.outcome = stage.outcome
                $0.seconds = stage.taken.milliseconds / 1_000
                if let allotted = stage.allotted { $0.allottedSeconds = allotted.milliseconds / 1_000 }
            }
        }
        user = Self.values(explanation.user)
        candidates = explanation.candidates.map { Candidate($0) }
    }

    fileprivate static func values(
        _ features: [(FeatureReference, FeatureValue)]
    ) -> [String: Tidemark_V1_Value] {
        Dictionary(
            features.map { ("\($0.view):\($0.feature)", Tidemark_V1_Value($1)) }, uniquingKeysWith: { _, last in last })
    }
}

extension Tidemark_V1_Explanation.Candidate {
    /// What became of a candidate.
    init(_ candidate: Explanation.Candidate) {
        self.init()
        id = Tidemark_V1_Key(candidate.id)
        sources = candidate.sources.map { source in
            .with {
                $0.source = source.name
                $0.score = source.score
                $0.place = Int32(clamping: source.place)
            }
        }
        recall = candidate.recall
        if let number = candidate.rank { rank = number }
        if let number = candidate.score { score = number }
        if let place = candidate.position { position = Int32(clamping: place) }
        if let reason = candidate.left { left = reason }
        features = Tidemark_V1_Explanation.values(candidate.features)
    }
}
