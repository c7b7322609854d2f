import FeatureModel
package import NIOCore

/// Reads the entities of a lookup's body into columns, by the types of the plan's keys. The body was checked by
/// `LookupParser`, which found where they lie.
package struct EntityReader {
    private let keys: KeyColumns
    private let limits: WireLimits
    /// The field that holds the columns, for errors.
    private let root: String

    package init(_ keys: KeyColumns, limits: WireLimits) {
        self.init(keys, limits: limits, root: "entities")
    }

    init(_ keys: KeyColumns, limits: WireLimits, root: String) {
        self.keys = keys
        self.limits = limits
        self.root = root
    }

    // MARK: Ours

    /// A list of objects. Each must have every key; other fields are skipped.
    package func rows(_ body: ByteBuffer, _ request: LookupRequestBody) throws(WireError) -> KeyValues {
        let bytes = body.readableBytesSpan
        var values = KeyValues()
        values.columns = keys.columns.map { KeyValues.Column(name: $0.name, type: $0.type) }
        var places = Array(repeating: -1, count: keys.columns.count)
        var cursor = JSONCursor(at: request.entities.lowerBound, maximumDepth: JSONCursor.deepest)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            guard values.count < limits.entities else { throw tooMany([.field("entities")]) }
            try row(&cursor, bytes, &places, &values)
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        return values
    }

    private func row(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, _ places: inout [Int], _ values: inout KeyValues
    ) throws(WireError) {
        let index = values.count
        guard cursor.kind(bytes) == .object else {
            let range = try cursor.valueRange(bytes)
            return try RequestFields.require(
                .object, at: range, bytes, path: [.field("entities"), .element(index)])
        }
        let start = cursor.index
        for column in places.indices { places[column] = -1 }
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes)
            if let column = keys.index(of: name, bytes) { places[column] = cursor.index }
            try cursor.skipValue(bytes)
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        for column in places.indices {
            guard places[column] >= 0 else { throw try missing(column, index, start, bytes) }
            var place = JSONCursor(at: places[column], maximumDepth: JSONCursor.deepest)
            try append(&place, bytes, &values.columns[column]) {
                [.field("entities"), .element(index), .field(keys.columns[column].name)]
            }
        }
        values.count += 1
    }

    private func missing(
        _ column: Int, _ index: Int, _ start: Int, _ bytes: RawSpan
    ) throws(WireError) -> WireError {
        var cursor = JSONCursor(at: start, maximumDepth: JSONCursor.deepest)
        let key = keys.columns[column].name
        return WireError(
            .missingKey, Nearest.missing(key, of: "the entity", among: try others(&cursor, bytes)),
            path: [.field("entities"), .element(index), .field(key)], offset: start)
    }

    /// Names in the object here that are no keys. Only for errors.
    private func others(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(WireError) -> [String] {
        var names: [String] = []
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes)
            if names.count < 20, name.range.count <= 64, keys.index(of: name, bytes) == nil {
                names.append(name.string(bytes))
            }
            try cursor.skipValue(bytes)
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        return names
    }

    // MARK: Feast's

    /// An object of lists of one length. Lists that no key needs are skipped.
    package func columns(_ body: ByteBuffer, _ request: LookupRequestBody) throws(WireError) -> KeyValues {
        let bytes = body.readableBytesSpan
        var places = Array(repeating: -1, count: keys.columns.count)
        var order: [Int] = []
        var count: Int?
        var cursor = JSONCursor(at: request.entities.lowerBound, maximumDepth: JSONCursor.deepest)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes)
            let start = cursor.index
            let length = try listLength(&cursor, bytes, name)
            if let count, count != length {
                throw WireError(.unequalColumns, "All entity rows must have the same columns.", offset: start)
            }
            count = length
            if let column = keys.index(of: name, bytes) {
                if places[column] < 0 { order.append(column) }
                places[column] = start
            }
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        for column in places.indices where places[column] < 0 {
            let key = keys.columns[column].name
            var cursor = JSONCursor(at: request.entities.lowerBound, maximumDepth: JSONCursor.deepest)
            throw WireError(
                .missingKey,
                Nearest.missing(
                    key, ", a join key of the features", of: "entities", among: try others(&cursor, bytes)),
                path: [.field("entities"), .field(key)], offset: request.entities.lowerBound)
        }
        var values = KeyValues()
        values.count = count ?? 0
        for column in order { values.columns.append(try list(at: places[column], bytes, column)) }
        return values
    }

    private func listLength(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, _ name: JSONText
    ) throws(WireError) -> Int {
        guard cursor.kind(bytes) == .array else {
            let range = try cursor.valueRange(bytes)
            try RequestFields.require(
                .list, at: range, bytes, path: [.field("entities"), .field(name.string(bytes))])
            return 0
        }
        var length = 0
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            length += 1
            try cursor.skipValue(bytes)
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        guard length <= limits.entities else {
            throw tooMany([.field("entities"), .field(name.string(bytes))])
        }
        return length
    }

    /// Reads the list at `place` as a key column.
    func list(at place: Int, _ bytes: RawSpan, _ column: Int) throws(WireError) -> KeyValues.Column {
        let key = keys.columns[column]
        var values = KeyValues.Column(name: key.name, type: key.type)
        var cursor = JSONCursor(at: place, maximumDepth: JSONCursor.deepest)
        var index = 0
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            try append(&cursor, bytes, &values) { [.field(root), .field(key.name), .element(index)] }
            index += 1
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        return values
    }

    // MARK: Values

    private func tooMany(_ path: [WireError.Step]) -> WireError {
        WireError(.limitExceeded, "there are over \(limits.entities) entities", path: path)
    }

    /// Reads the value here as a key of the column.
    private func append(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, _ column: inout KeyValues.Column, path: () -> [WireError.Step]
    ) throws(WireError) {
        let kind = cursor.kind(bytes)
        let start = cursor.index
        switch (column.type, kind) {
        case (.int32, .number), (.int64, .number):
            let number = try cursor.number(bytes)
            if let value = number.integer, column.type == .int64 || Int32(exactly: value) != nil {
                return column.integers.append(value)
            }
            throw invalid(column, number.isIntegral ? "out of its range" : "not an integer", start, path())
        case (.string, .string), (.bytes, .string):
            let text = try cursor.string(bytes)
            guard text.range.count <= limits.stringBytes else {
                throw invalid(column, "over \(limits.stringBytes) bytes", start, path())
            }
            if column.type == .string {
                text.append(bytes, to: &column.bytes)
            } else if !text.appendBase64(bytes, to: &column.bytes) {
                throw invalid(column, "not Base64", start, path())
            }
            column.ends.append(column.bytes.count)
        default: throw invalid(column, Self.word(kind, bytes, start), start, path())
        }
    }

    private func invalid(
        _ column: KeyValues.Column, _ found: String, _ offset: Int, _ path: [WireError.Step]
    ) -> WireError {
        WireError(
            .invalidKey, "the key \(column.name) is \(column.type.rawValue), this is \(found)", path: path,
            offset: offset)
    }

    private static func word(_ kind: JSONCursor.Kind, _ bytes: RawSpan, _ start: Int) -> String {
        switch kind {
        case .object: "an object"
        case .array: "a list"
        case .string: "a string"
        case .number: "a number"
        case .literal, .none: JSONCursor.byte(bytes, start) == UInt8(ascii: "n") ? "null" : "a boolean"
        }
    }
}
