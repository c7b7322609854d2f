import FeatureModel
import FoundationEssentials
import Recommend
import Serving
import ServingProtos
import SwiftProtobuf

extension RecommendRequest {
    /// What a message of `tidemark.v1.RecommendService` asks for, within the limits that `RecommendParser` has for bodies of HTTP.
    ///
    /// - Throws: `WireError` for a field that is missing, over a limit or of no value.
    init(_ message: Tidemark_V1_RecommendRequest, limits: WireLimits) throws(WireError) {
        guard !message.pipeline.isEmpty else {
            throw WireError(.shape(.missing), "there is no pipeline", path: [.field("pipeline")])
        }
        let reader = RecommendFieldReader(limits: limits)
        try reader.check(message.pipeline.utf8.count, [.field("pipeline")])
        self.init(
            pipeline: message.pipeline, entity: try reader.entity(message.entity),
            k: message.hasK ? Int(message.k) : nil,
            candidates: message.hasCandidates ? try reader.items(message.candidates, "candidates") : nil,
            exclude: try reader.items(message.exclude, "exclude"), context: try reader.context(message.context),
            explain: message.explain)
    }
}

/// Reads the fields of a message that have limits.
private struct RecommendFieldReader {
    let limits: WireLimits

    func check(_ bytes: Int, _ path: @autoclosure () -> [WireError.Step]) throws(WireError) {
        guard bytes <= limits.stringBytes else {
            throw WireError(.limitExceeded, "over \(limits.stringBytes) bytes", path: path())
        }
    }

    // MARK: Keys

    func entity(_ columns: [String: Tidemark_V1_Key]) throws(WireError) -> [String: EntityKeyValue] {
        guard columns.count <= RecommendParser.maximumKeys else {
            throw WireError(
                .limitExceeded, "an entity has at most \(RecommendParser.maximumKeys) keys", path: [.field("entity")])
        }
        var entity: [String: EntityKeyValue] = [:]
        for (name, key) in columns {
            let path: [WireError.Step] = [.field("entity"), .field(name)]
            switch key.value {
            case .integer(let number): entity[name] = .integer(number)
            case .string(let text):
                try check(text.utf8.count, path)
                entity[name] = .text(text)
            case .bytes(let bytes):
                try check(bytes.count, path)
                entity[name] = .bytes(Array(bytes))
            case nil: throw WireError(.invalidKey, "the key has no value", path: path)
            }
        }
        return entity
    }

    func items(_ column: Tidemark_V1_KeyColumn, _ name: String) throws(WireError) -> [EntityKeyValue] {
        switch column.values {
        case .integers(let integers):
            try count(integers.values.count, name)
            return integers.values.map { .integer($0) }
        case .strings(let strings):
            try count(strings.values.count, name)
            for (place, text) in strings.values.enumerated() {
                try check(text.utf8.count, [.field(name), .element(place)])
            }
            return strings.values.map { .text($0) }
        case .bytes(let bytes):
            try count(bytes.values.count, name)
            for (place, value) in bytes.values.enumerated() {
                try check(value.count, [.field(name), .element(place)])
            }
            return bytes.values.map { .bytes(Array($0)) }
        case nil: return []
        }
    }

    private func count(_ count: Int, _ name: String) throws(WireError) {
        let most = RecommendParser.maximumItems(limits)
        guard count <= most else {
            throw WireError(.limitExceeded, "there are over \(most) items", path: [.field(name)])
        }
    }

    // MARK: Context

    func context(
        _ features: [String: Tidemark_V1_Value]
    ) throws(WireError) -> [FeatureReference: FeatureValue] {
        guard features.count <= RecommendParser.maximumContext else {
            throw WireError(
                .limitExceeded, "there are over \(RecommendParser.maximumContext) features", path: [.field("context")])
        }
        var context: [FeatureReference: FeatureValue] = [:]
        for (name, value) in features {
            let path: [WireError.Step] = [.field("context"), .field(name)]
            guard let reference = FeatureReference(spelling: name) else {
                throw WireError(.invalidFeature, "a feature is written view:feature", path: path)
            }
            context[reference] = try self.value(value, path)
        }
        return context
    }

    private func value(_ value: Tidemark_V1_Value, _ path: [WireError.Step]) throws(WireError) -> FeatureValue {
        switch value.kind {
        case .list(let list):
            try elements(list.values.count, path)
            var elements: [FeatureValue] = []
            for (place, element) in list.values.enumerated() {
                elements.append(try scalar(element, path + [.element(place)]))
            }
            return .list(elements)
        case .vector(let vector):
            try elements(vector.values.count, path)
            for (place, number) in vector.values.enumerated() {
                try finite(Double(number), path + [.element(place)])
            }
            return .vector(vector.values)
        default: return try scalar(value, path)
        }
    }

    private func elements(_ count: Int, _ path: [WireError.Step]) throws(WireError) {
        guard count <= Recommender.maximumItems else {
            throw WireError(.limitExceeded, "there are over \(Recommender.maximumItems) elements", path: path)
        }
    }

    private func scalar(_ value: Tidemark_V1_Value, _ path: [WireError.Step]) throws(WireError) -> FeatureValue {
        switch value.kind {
        case nil: return .null
        case .bool(let flag): return .bool(flag)
        case .int32(let number): return .int32(number)
        case .int64(let number): return .int64(number)
        case .float32(let number):
            try finite(Double(number), path)
            return .float32(number)
        case .float64(let number):
            try finite(number, path)
            return .float64(number)
        case .string(let text):
            try check(text.utf8.count, path)
            return .string(text)
        case .bytes(let bytes):
            try check(bytes.count, path)
            return .bytes(Array(bytes))
        case .timestamp(let time): return .timestamp(try microseconds(time, path))
        case .list, .vector: throw WireError(.invalidValue, "a list in a list", path: path)
        }
    }

    /// JSON has no others, and a model takes none.
    private func finite(_ number: Double, _ path: @autoclosure () -> [WireError.Step]) throws(WireError) {
        guard number.isFinite else { throw WireError(.invalidValue, "a number out of range", path: path()) }
    }

    private func microseconds(
        _ time: Google_Protobuf_Timestamp, _ path: [WireError.Step]
    ) throws(WireError) -> Int64 {
        // The years 1 to 9999 (google/protobuf/timestamp.proto).
        guard (-62_135_596_800...253_402_300_799).contains(time.seconds), (0...999_999_999).contains(time.nanos) else {
            throw WireError(.invalidValue, "a time out of range", path: path)
        }
        return time.seconds * 1_000_000 + Int64(time.nanos) / 1_000
    }
}
