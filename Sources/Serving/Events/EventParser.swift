import FeatureModel
package import NIOCore
import OnlineStore

/// Takes bodies of `/v1/events` apart. An event that doesn't fit is an error that names it, and none of the body counts.
package enum EventParser {
    /// Reads at most `maximum` events; `now` is in microseconds since 1970.
    package static func parse(
        _ body: ByteBuffer, as format: EventFormat, limits: WireLimits, maximum: Int, now: Int64
    ) throws(WireError) -> [ShopEvent] {
        let bytes = body.readableBytesSpan
        var cursor = JSONCursor(maximumDepth: limits.nesting)
        let range = try cursor.valueRange(bytes)
        try cursor.end(bytes)
        let reader = EventReader(fields: RecommendFields(body: body, limits: limits), now: now)
        let isList = JSONCursor.byte(bytes, range.lowerBound) == UInt8(ascii: "[")
        switch format {
        case .plain where !isList: return [try reader.plain(range, [])]
        case .cloudEvent: return [try reader.cloudEvent(range, [])]
        case .binary(let attributes): return [try reader.binary(attributes, range)]
        case .plain, .cloudEvents: break
        }
        try RequestFields.require(.list, at: range, bytes, path: [])
        var events: [ShopEvent] = []
        var elements = reader.fields.cursor(range)
        var goesOn = try elements.enter(bytes)
        while goesOn {
            guard events.count < maximum else {
                throw WireError(.limitExceeded, "there are over \(maximum) events")
            }
            let element = try elements.valueRange(bytes)
            let path = [WireError.Step.element(events.count)]
            events.append(format == .plain ? try reader.plain(element, path) : try reader.cloudEvent(element, path))
            goesOn = try elements.hasMore(bytes, in: .array)
        }
        return events
    }
}

/// Reads events at places of a body that is JSON already.
private struct EventReader {
    /// What a user did; in CloudEvents this is the data.
    private static let dataFields = [
        "entity", "item", "quantity", "price", "request_id", "position", "properties",
    ]
    private static let plainFields = ["id", "type", "time", "source"] + dataFields
    /// Attributes with a place of their own, of CloudEvents 1.0.
    private static let attributes: Set = [
        "id", "source", "specversion", "type", "time", "datacontenttype", "data", "data_base64",
    ]
    /// Bytes of an id or a source.
    private static let idBytes = 512
    /// Attributes beyond those, of one event.
    private static let maximumExtensions = 32
    /// How far a caller's clock may be ahead, in microseconds.
    private static let ahead: Int64 = 86_400_000_000

    let fields: RecommendFields
    let now: Int64

    // MARK: The three spellings

    func plain(_ range: Range<Int>, _ path: [WireError.Step]) throws(WireError) -> ShopEvent {
        let members = try members(range, path)
        for name in members.keys.sorted() where !Self.plainFields.contains(name) {
            throw unknown(name, Self.plainFields, path, range)
        }
        return try event(
            try Head(
                id: text(members, "id", path), type: text(members, "type", path),
                source: optionalText(members, "source", path), time: optionalText(members, "time", path)),
            members, range, path, path)
    }

    func cloudEvent(_ range: Range<Int>, _ path: [WireError.Step]) throws(WireError) -> ShopEvent {
        let members = try members(range, path)
        let head = try Head(
            id: text(members, "id", path), type: text(members, "type", path), source: text(members, "source", path),
            time: optionalText(members, "time", path))
        try check(
            version: text(members, "specversion", path), type: optionalText(members, "datacontenttype", path), path)
        let dataPath = path + [.field("data")]
        guard members["data_base64"] == nil else {
            throw WireError(.invalidValue, "data is JSON here, not bytes", path: path + [.field("data_base64")])
        }
        guard let data = members["data"] else { throw missing("data", path, range) }
        var event = try event(head, self.data(data, dataPath), data, dataPath, path)
        let bytes = fields.body.readableBytesSpan
        for (name, value) in members where !Self.attributes.contains(name) && !bytes.holds("null", at: value) {
            try Self.checkExtension(name, event.extensions.count, path)
            var json: [UInt8] = []
            bytes.append(value, to: &json)
            event.extensions[name] = json
        }
        return event
    }

    func binary(_ attributes: [String: String], _ range: Range<Int>) throws(WireError) -> ShopEvent {
        func required(_ name: String) throws(WireError) -> String {
            guard let value = attributes[name] else {
                throw WireError(.shape(.missing), "the header ce-\(name) is missing")
            }
            return value
        }
        try check(version: required("specversion"), type: nil, [])
        let head = try Head(
            id: required("id"), type: required("type"), source: required("source"), time: attributes["time"])
        var event = try event(head, data(range, []), range, [], [])
        for (name, value) in attributes where !Self.attributes.contains(name) {
            try Self.checkExtension(name, event.extensions.count, [])
            var json = JSONBytes()
            json.string(value)
            event.extensions[name] = json.bytes
        }
        return event
    }

    // MARK: An event

    /// What says which event it is.
    private struct Head {
        let id: String
        let type: String
        let source: String?
        let time: String?
    }

    /// `path` is where the data is, `headPath` where the rest is.
    private func event(
        _ head: Head, _ data: [String: Range<Int>], _ range: Range<Int>, _ path: [WireError.Step],
        _ headPath: [WireError.Step]
    ) throws(WireError) -> ShopEvent {
        for (name, text) in [("id", head.id), ("source", head.source ?? "-")] {
            guard (1...Self.idBytes).contains(text.utf8.count) else {
                throw WireError(
                    .invalidValue, "\(name) has 1 to \(Self.idBytes) bytes", path: headPath + [.field(name)])
            }
        }
        guard let entity = data["entity"] else { throw missing("entity", path, range) }
        try RequestFields.require(.object, at: entity, fields.body.readableBytesSpan, path: path + [.field("entity")])
        let keys = try fields.entity(entity, in: path)
        guard !keys.isEmpty else {
            throw WireError(.missingKey, "the entity has no key", path: path + [.field("entity")])
        }
        guard let item = data["item"] else { throw missing("item", path, range) }
        var cursor = fields.cursor(item)
        var event = ShopEvent(
            id: head.id, source: head.source, kind: try kind(head.type, headPath), time: try time(head, headPath),
            entity: keys, item: try fields.key(&cursor, path + [.field("item")]))
        event.quantity = try count(data, "quantity", path)
        event.position = try count(data, "position", path)
        event.requestID = try optionalText(data, "request_id", path)
        event.price = try price(data, path)
        event.properties = try properties(data, path)
        return event
    }

    /// `view`, or a CloudEvent's type that ends in it, as in `com.example.shop.view`.
    private func kind(_ type: String, _ path: [WireError.Step]) throws(WireError) -> ShopEvent.Kind {
        let word = type.split(separator: ".", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        guard let kind = ShopEvent.Kind(rawValue: word) else {
            throw WireError(
                .invalidValue, "the type is none of view, cart and order", path: path + [.field("type")])
        }
        return kind
    }

    private func time(_ head: Head, _ path: [WireError.Step]) throws(WireError) -> Int64? {
        guard let text = head.time else { return nil }
        guard let time = Timestamps.parse(text), time <= now + Self.ahead else {
            throw WireError(
                .invalidValue, "the time is no RFC 3339 time of at most a day ahead", path: path + [.field("time")])
        }
        return time
    }

    private func count(
        _ members: [String: Range<Int>], _ name: String, _ path: [WireError.Step]
    ) throws(WireError) -> Int64? {
        guard let range = given(members, name) else { return nil }
        let bytes = fields.body.readableBytesSpan
        var cursor = fields.cursor(range)
        guard cursor.kind(bytes) == .number, let number = try cursor.number(bytes).integer, number >= 1 else {
            throw WireError(.invalidValue, "\(name) is no whole number from 1", path: path + [.field(name)])
        }
        return number
    }

    private func price(
        _ members: [String: Range<Int>], _ path: [WireError.Step]
    ) throws(WireError) -> [UInt8]? {
        guard let range = given(members, "price") else { return nil }
        let bytes = fields.body.readableBytesSpan
        var cursor = fields.cursor(range)
        guard cursor.kind(bytes) == .number, let number = try cursor.number(bytes).double(bytes), number >= 0 else {
            throw WireError(.invalidValue, "price is no number from 0", path: path + [.field("price")])
        }
        var json: [UInt8] = []
        bytes.append(range, to: &json)
        return json
    }

    private func properties(
        _ members: [String: Range<Int>], _ path: [WireError.Step]
    ) throws(WireError) -> [UInt8]? {
        guard let range = given(members, "properties") else { return nil }
        let bytes = fields.body.readableBytesSpan
        try RequestFields.require(.object, at: range, bytes, path: path + [.field("properties")])
        var json: [UInt8] = []
        bytes.append(range, to: &json)
        return json
    }

    // MARK: CloudEvents

    private func data(_ range: Range<Int>, _ path: [WireError.Step]) throws(WireError) -> [String: Range<Int>] {
        let members = try members(range, path)
        for name in members.keys.sorted() where !Self.dataFields.contains(name) {
            throw unknown(name, Self.dataFields, path, range)
        }
        return members
    }

    private func check(version: String, type: String?, _ path: [WireError.Step]) throws(WireError) {
        guard version == "1.0" else {
            throw WireError(.invalidValue, "specversion is not 1.0", path: path + [.field("specversion")])
        }
        let media = type?.prefix { $0 != ";" }.lowercased()
        guard media == nil || media == "application/json" || media?.hasSuffix("+json") == true else {
            throw WireError(.invalidValue, "data is JSON here", path: path + [.field("datacontenttype")])
        }
    }

    /// Names of attributes are lower-case letters and digits.
    private static func checkExtension(_ name: String, _ count: Int, _ path: [WireError.Step]) throws(WireError) {
        let isName = name.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
        guard isName, (1...64).contains(name.utf8.count) else {
            throw WireError(.unknownField, "\(name) is no attribute of a CloudEvent", path: path + [.field(name)])
        }
        guard count < Self.maximumExtensions else {
            throw WireError(.limitExceeded, "there are over \(Self.maximumExtensions) extensions", path: path)
        }
    }

    // MARK: Members

    /// The members of an object, each where its last value lies.
    private func members(
        _ range: Range<Int>, _ path: [WireError.Step]
    ) throws(WireError) -> [String: Range<Int>] {
        let bytes = fields.body.readableBytesSpan
        try RequestFields.require(.object, at: range, bytes, path: path)
        var members: [String: Range<Int>] = [:]
        var cursor = fields.cursor(range)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes).string(bytes)
            members[name] = try cursor.valueRange(bytes)
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        return members
    }

    /// A member that is there and not null.
    private func given(_ members: [String: Range<Int>], _ name: String) -> Range<Int>? {
        members[name].flatMap { fields.body.readableBytesSpan.holds("null", at: $0) ? nil : $0 }
    }

    private func optionalText(
        _ members: [String: Range<Int>], _ name: String, _ path: [WireError.Step]
    ) throws(WireError) -> String? {
        guard let range = given(members, name) else { return nil }
        let path = path + [.field(name)]
        try RequestFields.require(.string, at: range, fields.body.readableBytesSpan, path: path)
        return try fields.text(range, path)
    }

    private func text(
        _ members: [String: Range<Int>], _ name: String, _ path: [WireError.Step]
    ) throws(WireError) -> String {
        guard let text = try optionalText(members, name, path) else { throw missing(name, path, 0..<0) }
        return text
    }

    private func missing(_ name: String, _ path: [WireError.Step], _ range: Range<Int>) -> WireError {
        WireError(
            .shape(.missing), "the field \(name) is missing", path: path + [.field(name)], offset: range.lowerBound)
    }

    private func unknown(
        _ name: String, _ known: [String], _ path: [WireError.Step], _ range: Range<Int>
    ) -> WireError {
        var error = LookupParser.unknownField(name, among: known, range)
        error.path = path + error.path
        return error
    }
}
