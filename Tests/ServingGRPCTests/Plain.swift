import Foundation
import ServingProtos
import SwiftProtobuf

/// An answer as JSON has it, so that what came over gRPC can be held against HTTP's.
enum Plain: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([Plain])
    case object([String: Plain])

    init(from decoder: any Swift.Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .bool(flag)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([Plain].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: Plain].self))
        }
    }

    /// A body of HTTP, without the times of its stages, which are each run's own.
    init(body: String) throws {
        self = try JSONDecoder().decode(Plain.self, from: Data(body.utf8))
        guard case .object(var whole) = self, case .object(var explain)? = whole["explain"],
            case .list(let stages)? = explain["stages"]
        else { return }
        explain["stages"] = .list(
            stages.map { stage in
                guard case .object(var fields) = stage else { return stage }
                fields["ms"] = nil
                fields["allotted_ms"] = .bool(fields["allotted_ms"] != .null)
                return .object(fields)
            })
        whole["explain"] = .object(explain)
        self = .object(whole)
    }

    /// What HTTP would have said.
    init(_ answer: Tidemark_V1_RecommendResponse) {
        var whole: [String: Plain] = [
            "items": .list(
                answer.items.map { item in
                    .object(["id": Plain(item.id), "score": .number(item.score), "source": .text(item.source)])
                }),
            "rung": .text(Self.word(answer.rung)), "model": answer.hasModel ? .text(answer.model) : .null,
            "version": answer.hasVersion ? .text(answer.version) : .null, "request_id": .text(answer.requestID),
        ]
        if !answer.degraded.isEmpty { whole["degraded"] = .object(answer.degraded.mapValues { .text($0) }) }
        if answer.hasExplain { whole["explain"] = Plain(answer.explain) }
        self = .object(whole)
    }

    private init(_ explain: Tidemark_V1_Explanation) {
        self = .object([
            "stages": .list(
                explain.stages.map { stage in
                    .object([
                        "stage": .text(stage.name), "outcome": .text(stage.outcome),
                        "allotted_ms": .bool(stage.hasAllottedSeconds),
                    ])
                }),
            "user": Plain(explain.user), "candidates": .list(explain.candidates.map { Plain($0) }),
        ])
    }

    private init(_ candidate: Tidemark_V1_Explanation.Candidate) {
        var fields: [String: Plain] = [
            "id": Plain(candidate.id),
            "sources": .list(
                candidate.sources.map { source in
                    .object([
                        "source": .text(source.source), "score": Plain(source.score),
                        "place": .number(Double(source.place)),
                    ])
                }),
            "recall": .number(candidate.recall), "rank": candidate.hasRank ? Plain(candidate.rank) : .null,
            "score": candidate.hasScore ? .number(candidate.score) : .null, "features": Plain(candidate.features),
        ]
        if candidate.hasPosition { fields["position"] = .number(Double(candidate.position)) }
        if candidate.hasLeft { fields["left"] = .text(candidate.left) }
        self = .object(fields)
    }

    private init(_ features: [String: Tidemark_V1_Value]) { self = .object(features.mapValues { Plain($0) }) }

    private init(_ value: Tidemark_V1_Value) {
        switch value.kind {
        case nil: self = .null
        case .bool(let flag): self = .bool(flag)
        case .int32(let number): self = .number(Double(number))
        case .int64(let number): self = .number(Double(number))
        case .float32(let number): self = Plain(number)
        case .float64(let number): self = .number(number)
        case .string(let text): self = .text(text)
        case .list(let list): self = .list(list.values.map { Plain($0) })
        case .bytes, .timestamp, .vector: self = .text("a value that these tests have none of")
        }
    }

    private init(_ key: Tidemark_V1_Key) {
        switch key.value {
        case .integer(let number): self = .number(Double(number))
        case .string(let text): self = .text(text)
        case .bytes, nil: self = .text("a key that these tests have none of")
        }
    }

    /// As the shortest decimal that is that number, which JSON has.
    private init(_ number: Float) { self = .number(Double("\(number)") ?? .nan) }

    private static func word(_ rung: Tidemark_V1_Rung) -> String {
        switch rung {
        case .ranking: "ranking"
        case .recall: "recall"
        case .lastGood: "last_good"
        case .popularity: "popularity"
        case .unspecified, .UNRECOGNIZED: "?"
        }
    }
}
