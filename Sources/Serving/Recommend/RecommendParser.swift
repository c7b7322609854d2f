import FeatureModel
package import NIOCore
package import Recommend

/// Takes bodies of `/v1/recommend` apart.
package enum RecommendParser {
    private static let fields = ["pipeline", "entity", "k", "candidates", "exclude", "context", "explain"]
    /// Features that a request may bring.
    package static let maximumContext = 256
    /// Key columns that an entity may have.
    package static let maximumKeys = 16

    /// Items that a request may bring in one list.
    package static func maximumItems(_ limits: WireLimits) -> Int { min(limits.entities, Recommender.maximumItems) }

    /// A field it doesn't know is an error: a misspelt one would be ignored otherwise.
    package static func parse(_ body: ByteBuffer, limits: WireLimits) throws(WireError) -> RecommendRequest {
        let bytes = body.readableBytesSpan
        let found = try RequestFields(bytes, limits: limits) { name in
            Self.fields.firstIndex { name.equals(Array($0.utf8), bytes) }
        } unknown: { (name) throws(WireError) in
            throw LookupParser.unknownField(name.string(bytes), among: Self.fields, name.range)
        }
        let reader = RecommendFields(body: body, limits: limits)
        let pipeline = try found.required(0, "pipeline", .string, bytes)
        let entity = try found.required(1, "entity", .object, bytes)
        var request = RecommendRequest(
            pipeline: try reader.text(pipeline, [.field("pipeline")]), entity: try reader.entity(entity))
        if let k = found[2] { request.k = try reader.count(k, "k") }
        if let range = try found.nullable(3, "candidates", .list, bytes) {
            request.candidates = try reader.items(range, "candidates")
        }
        if let range = try found.nullable(4, "exclude", .list, bytes) {
            request.exclude = try reader.items(range, "exclude")
        }
        if let range = try found.nullable(5, "context", .object, bytes) {
            request.context = try reader.context(range, maximum: Self.maximumContext)
        }
        request.explain = try found.boolean(6, "explain", bytes)
        return request
    }
}

/// Reads the values of a body's fields, which are JSON already.
struct RecommendFields {
    let body: ByteBuffer
    let limits: WireLimits

    func cursor(_ range: Range<Int>) -> JSONCursor {
        JSONCursor(at: range.lowerBound, maximumDepth: JSONCursor.deepest)
    }

    func text(_ range: Range<Int>, _ path: [WireError.Step]) throws(WireError) -> String {
        var cursor = cursor(range)
        return try text(&cursor, path)
    }

    private func text(_ cursor: inout JSONCursor, _ path: [WireError.Step]) throws(WireError) -> String {
        let bytes = body.readableBytesSpan
        let start = cursor.index
        let text = try cursor.string(bytes)
        guard text.range.count <= limits.stringBytes else {
            throw WireError(.limitExceeded, "over \(limits.stringBytes) bytes", path: path, offset: start)
        }
        return text.string(bytes)
    }

    func count(_ range: Range<Int>, _ name: String) throws(WireError) -> Int {
        let bytes = body.readableBytesSpan
        var cursor = cursor(range)
        guard cursor.kind(bytes) == .number, let number = try cursor.number(bytes).integer else {
            throw WireError(
                .invalidValue, "\(name) is no whole number", path: [.field(name)], offset: range.lowerBound)
        }
        return Int(clamping: number)
    }

    func entity(
        _ range: Range<Int>, in place: [WireError.Step] = []
    ) throws(WireError) -> [String: EntityKeyValue] {
        let bytes = body.readableBytesSpan
        var entity: [String: EntityKeyValue] = [:]
        var cursor = cursor(range)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes).string(bytes)
            guard entity.count < RecommendParser.maximumKeys else {
                throw WireError(
                    .limitExceeded, "an entity has at most \(RecommendParser.maximumKeys) keys",
                    path: place + [.field("entity")])
            }
            entity[name] = try key(&cursor, place + [.field("entity"), .field(name)])
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        return entity
    }

    func items(_ range: Range<Int>, _ name: String) throws(WireError) -> [EntityKeyValue] {
        let bytes = body.readableBytesSpan
        var items: [EntityKeyValue] = []
        var cursor = cursor(range)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            guard items.count < RecommendParser.maximumItems(limits) else {
                throw WireError(
                    .limitExceeded, "there are over \(RecommendParser.maximumItems(limits)) items",
                    path: [.field(name)])
            }
            items.append(try key(&cursor, [.field(name), .element(items.count)]))
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        return items
    }

    func key(_ cursor: inout JSONCursor, _ path: [WireError.Step]) throws(WireError) -> EntityKeyValue {
        let bytes = body.readableBytesSpan
        let kind = cursor.kind(bytes)
        let start = cursor.index
        switch kind {
        case .string: return .text(try text(&cursor, path))
        case .number:
            if let number = try cursor.number(bytes).integer { return .integer(number) }
            throw WireError(.invalidKey, "a key is a whole number or a text", path: path, offset: start)
        case .object, .array, .literal, .none:
            throw WireError(.invalidKey, "a key is a whole number or a text", path: path, offset: start)
        }
    }

    func context(
        _ range: Range<Int>, maximum: Int
    ) throws(WireError) -> [FeatureReference: FeatureValue] {
        let bytes = body.readableBytesSpan
        var context: [FeatureReference: FeatureValue] = [:]
        var cursor = cursor(range)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes).string(bytes)
            let path: [WireError.Step] = [.field("context"), .field(name)]
            guard let reference = FeatureReference(spelling: name) else {
                throw WireError(.invalidFeature, "a feature is written view:feature", path: path)
            }
            guard context.count < maximum else {
                throw WireError(.limitExceeded, "there are over \(maximum) features", path: [.field("context")])
            }
            context[reference] = try value(&cursor, path)
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        return context
    }

    private func value(_ cursor: inout JSONCursor, _ path: [WireError.Step]) throws(WireError) -> FeatureValue {
        let bytes = body.readableBytesSpan
        guard cursor.kind(bytes) == .array else { return try scalar(&cursor, path) }
        var elements: [FeatureValue] = []
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            guard elements.count < Recommender.maximumItems else {
                throw WireError(.limitExceeded, "there are over \(Recommender.maximumItems) elements", path: path)
            }
            elements.append(try scalar(&cursor, path + [.element(elements.count)]))
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        return .list(elements)
    }

    private func scalar(_ cursor: inout JSONCursor, _ path: [WireError.Step]) throws(WireError) -> FeatureValue {
        let bytes = body.readableBytesSpan
        let kind = cursor.kind(bytes)
        let start = cursor.index
        switch kind {
        case .string: return .string(try text(&cursor, path))
        case .literal: return try cursor.literal(bytes).map { .bool($0) } ?? .null
        case .number:
            let number = try cursor.number(bytes)
            if let integer = number.integer { return .int64(integer) }
            if let double = number.double(bytes) { return .float64(double) }
            throw WireError(.invalidValue, "a number out of range", path: path, offset: start)
        case .object, .array, .none:
            throw WireError(.invalidValue, "no value of a feature", path: path, offset: start)
        }
    }
}
