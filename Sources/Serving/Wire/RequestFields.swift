/// The fields of a body that a route knows, each where its last value lies: of two with one name the later counts, as in
/// Python.
struct RequestFields {
    private var starts = InlineArray<8, Int>(repeating: -1)
    private var ends = InlineArray<8, Int>(repeating: -1)

    /// Reads the whole body. `place` says which field a name is, `0..<8`; `unknown` what is to happen with others.
    init(
        _ bytes: RawSpan, limits: WireLimits, place: (JSONText) -> Int?,
        unknown: (JSONText) throws(WireError) -> Void = { _ in }
    ) throws(WireError) {
        guard bytes.byteCount <= limits.bodyBytes else { throw Self.tooLarge(limits) }
        var cursor = JSONCursor(maximumDepth: limits.nesting)
        cursor.skipBlanks(bytes)
        guard cursor.index < bytes.byteCount else { throw WireError(.shape(.missing), "the body is empty") }
        guard cursor.kind(bytes) == .object else {
            let input = try cursor.valueRange(bytes)
            try cursor.end(bytes)
            throw WireError(.shape(.model), "the body is not an object", input: input)
        }
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes)
            let range = try cursor.valueRange(bytes)
            if let place = place(name) {
                starts[place] = range.lowerBound
                ends[place] = range.upperBound
            } else {
                try unknown(name)
            }
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        try cursor.end(bytes)
    }

    /// The error for a body over its limit; for the server too, which stops reading there.
    static func tooLarge(_ limits: WireLimits) -> WireError {
        WireError(.bodyTooLarge, "the body is over \(limits.bodyBytes) bytes")
    }

    /// Where the value of a field lies.
    subscript(_ place: Int) -> Range<Int>? {
        starts[place] < 0 ? nil : starts[place]..<ends[place]
    }

    /// A field that must be there, as that shape.
    func required(
        _ place: Int, _ name: String, _ shape: WireError.Shape, _ bytes: RawSpan
    ) throws(WireError) -> Range<Int> {
        guard let range = try optional(place, name, shape, bytes) else {
            throw WireError(
                .shape(.missing), "the field \(name) is missing", path: [.field(name)], input: 0..<bytes.byteCount)
        }
        return range
    }

    /// A field that may be left out, but not be null.
    func optional(
        _ place: Int, _ name: String, _ shape: WireError.Shape, _ bytes: RawSpan
    ) throws(WireError) -> Range<Int>? {
        guard let range = self[place] else { return nil }
        try Self.require(shape, at: range, bytes, path: [.field(name)])
        return range
    }

    /// A field that may be left out or be null.
    func nullable(
        _ place: Int, _ name: String, _ shape: WireError.Shape, _ bytes: RawSpan
    ) throws(WireError) -> Range<Int>? {
        guard let range = self[place], !bytes.holds("null", at: range) else { return nil }
        return try optional(place, name, shape, bytes)
    }

    /// A boolean, `false` where it is left out. 0 and 1 count, as pydantic has it.
    func boolean(_ place: Int, _ name: String, _ bytes: RawSpan, default: Bool = false) throws(WireError) -> Bool {
        guard let range = self[place] else { return `default` }
        if bytes.holds("true", at: range) || bytes.holds("1", at: range) { return true }
        if bytes.holds("false", at: range) || bytes.holds("0", at: range) { return false }
        throw WireError(
            .shape(.boolean), "\(name) is neither true nor false", path: [.field(name)], offset: range.lowerBound,
            input: range)
    }

    /// Throws unless the value is of that shape.
    static func require(
        _ shape: WireError.Shape, at range: Range<Int>, _ bytes: RawSpan, path: @autoclosure () -> [WireError.Step]
    ) throws(WireError) {
        let first = JSONCursor.byte(bytes, range.lowerBound)
        let word: String
        switch shape {
        case .list:
            if first == UInt8(ascii: "[") { return }
            word = "list"
        case .object, .model:
            if first == UInt8(ascii: "{") { return }
            word = "object"
        case .string:
            if first == UInt8(ascii: "\"") { return }
            word = "string"
        case .missing, .boolean: return
        }
        let path = path()
        let name = path.last.map { if case .field(let name) = $0 { name } else { "it" } } ?? "the body"
        throw WireError(
            .shape(shape), "\(name) is not \(word == "object" ? "an" : "a") \(word)", path: path,
            offset: range.lowerBound, input: range)
    }
}
