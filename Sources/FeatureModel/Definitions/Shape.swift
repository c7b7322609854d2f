/// What may stand at a place of a YAML file. The declarations of config and definitions are made of these; reading a
/// file and writing its JSON Schema both follow them, so the two can't drift apart.
indirect enum Shape: Sendable {
    case text(TextRule)
    case word([String])
    case flag
    case integer(ClosedRange<Int64>)
    case number(ClosedRange<Double>)
    case duration(ClosedRange<Duration>)
    case byteCount(ClosedRange<Int64>)
    /// A scalar or a list of scalars, read later by a type that stands elsewhere.
    case literal
    case list(Shape, count: ClosedRange<Int>)
    /// A mapping whose keys are names.
    case map(TextRule, Shape, count: ClosedRange<Int>)
    case object(ObjectShape)
    case either([Shape])
    /// Any mapping, kept and not interpreted.
    case anyMapping
}

/// A mapping with known keys.
struct ObjectShape: Sendable {
    let name: String
    let summary: String
    let fields: [Field]
    /// Keys of which exactly one must be there.
    var exactlyOne: [String] = []

    func field(_ name: String) -> Field? {
        fields.first { $0.name == name }
    }

    /// Whether the other one has the same keys and words.
    func isLike(_ other: ObjectShape) -> Bool {
        name == other.name && summary == other.summary && exactlyOne == other.exactlyOne
            && fields.map { [$0.name, $0.summary] } == other.fields.map { [$0.name, $0.summary] }
    }
}

/// A known key of a mapping.
struct Field: Sendable {
    let name: String
    let shape: Shape
    let summary: String
    var isRequired = false
    /// The default as people read it.
    var fallback: String?
    /// Another key that must be there with this one.
    var onlyWith: String?

    init(
        _ name: String, _ shape: Shape, _ summary: String, required: Bool = false, default fallback: String? = nil,
        onlyWith: String? = nil
    ) {
        self.name = name
        self.shape = shape
        self.summary = summary
        isRequired = required
        self.fallback = fallback
        self.onlyWith = onlyWith
    }
}

/// Which texts are accepted.
struct TextRule: Sendable {
    /// What is expected, as it reads behind "expected".
    let expected: String
    /// The longest text, in Unicode scalars.
    let maximumLength: Int
    /// The sets of characters of the first and of the other places, as in a regular expression; `nil` for any text.
    var characters: (first: String, rest: String)?
    /// The pattern for the JSON Schema, where `characters` don't say it.
    var pattern: String?
    /// What else must hold.
    var isValid: (@Sendable (String) -> Bool)?
    /// Words that are often meant, for suggestions.
    var words: [String] = []
    /// Whether the text may be shown in messages.
    var isShown = true

    func accepts(_ text: String) -> Bool {
        let length = text.unicodeScalars.count
        guard length >= 1, length <= maximumLength else { return false }
        if let characters {
            guard let first = text.utf8.first, Self.set(characters.first, contains: first),
                text.utf8.dropFirst().allSatisfy({ Self.set(characters.rest, contains: $0) })
            else { return false }
        }
        return isValid?(text) ?? true
    }

    /// The rule as a regular expression (ECMA 262), if it can be said in one.
    var schemaPattern: String? {
        guard let characters else { return pattern }
        return "^[\(characters.first)][\(characters.rest)]{0,\(maximumLength - 1)}$"
    }

    private static func set(_ set: String, contains byte: UInt8) -> Bool {
        let symbols = Array(set.utf8)
        var index = 0
        while index < symbols.count {
            if index + 2 < symbols.count, symbols[index + 1] == UInt8(ascii: "-") {
                if (symbols[index]...max(symbols[index], symbols[index + 2])).contains(byte) { return true }
                index += 3
            } else {
                if symbols[index] == byte { return true }
                index += 1
            }
        }
        return false
    }
}

extension TextRule {
    /// Names of views, features, entities and services.
    static let name = TextRule(
        expected: "a name: letters, digits and _, not a digit first, at most 64", maximumLength: 64,
        characters: ("A-Za-z_", "A-Za-z0-9_"))

    /// Names of projects and view keys: they stand in row keys.
    static let key = TextRule(
        expected: "1 to 32 of a-z, 0-9, _ and -", maximumLength: 32, characters: ("a-z0-9_-", "a-z0-9_-"))

    /// Names of columns.
    static let column = TextRule(
        expected: "a column: letters, digits, _ and $, not a digit first, at most 128", maximumLength: 128,
        characters: ("A-Za-z_", "A-Za-z0-9_$"))
}

extension Duration {
    static func minutes(_ count: Int64) -> Duration { .seconds(count * 60) }
    static func hours(_ count: Int64) -> Duration { .seconds(count * 3_600) }
    static func days(_ count: Int64) -> Duration { .seconds(count * 86_400) }

    /// An exact spelling for people, in several units where one isn't enough: `3d12h`.
    var mixedSpelling: String {
        let single = spelling
        var rest = wholeMicroseconds
        var parts = ""
        let units: [(String, Int64)] = [
            ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1),
        ]
        for (name, size) in units where rest >= size {
            parts += "\(rest / size)\(name)"
            rest %= size
        }
        return parts.utf8.count <= single.utf8.count + 2 && !parts.isEmpty ? parts : single
    }
}
