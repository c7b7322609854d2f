/// A value of a document: what JSON can say.
package enum DocumentValue: Hashable, Sendable {
    case null
    case flag(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([DocumentValue])
    case mapping([String: DocumentValue])

    /// Stands where something must not be shown.
    package static let hidden = "(hidden)"

    /// The value of a key, if this is a mapping that has it.
    package subscript(_ key: String) -> DocumentValue? {
        guard case .mapping(let members) = self else { return nil }
        return members[key]
    }
}

extension DocumentValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral
{
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .flag(value) }
    package init(arrayLiteral elements: DocumentValue...) { self = .list(elements) }
    package init(dictionaryLiteral elements: (String, DocumentValue)...) {
        self = .mapping(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}

extension DocumentValue: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let integer = try? container.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let elements = try? container.decode([DocumentValue].self) {
            self = .list(elements)
        } else {
            self = .mapping(try container.decode([String: DocumentValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let flag): try container.encode(flag)
        case .integer(let integer): try container.encode(integer)
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        case .list(let elements): try container.encode(elements)
        case .mapping(let members): try container.encode(members)
        }
    }
}

extension DocumentValue {
    /// What stands in a file by its declaration, without what must not be shown: of a secret the place where it is kept,
    /// of a URL no user and no query, of anything else that isn't declared as shown nothing.
    static func redacting(_ node: YAMLNode, as shape: Shape) -> DocumentValue {
        if node.isNull { return .null }
        switch shape {
        case .text(let rule): return node.text.map { .text(rule.isShown ? $0 : shown($0)) } ?? .text(hidden)
        case .word: return node.text.map { .text($0) } ?? .null
        case .flag: return node.flag.map { .flag($0) } ?? .null
        case .integer: return node.integer.map { .integer($0) } ?? .null
        case .number: return node.number.map { .number($0) } ?? .null
        case .duration, .byteCount: return node.text.map { .text($0) } ?? .null
        case .list(let element, _): return .list(node.elements.map { redacting($0, as: element) })
        case .map(_, let value, _):
            return .mapping(members(node) { _ in value })
        case .object(let object): return .mapping(members(node) { object.field($0)?.shape })
        case .either(let shapes): return either(node, shapes)
        case .literal, .anyMapping: return .text(hidden)
        }
    }

    private static func members(_ node: YAMLNode, _ shape: (String) -> Shape?) -> [String: DocumentValue] {
        let pairs = node.entries.map { entry in
            (entry.key, shape(entry.key).map { redacting(entry.value, as: $0) } ?? .text(hidden))
        }
        return Dictionary(pairs, uniquingKeysWith: { $1 })
    }

    private static func either(_ node: YAMLNode, _ shapes: [Shape]) -> DocumentValue {
        for shape in shapes {
            switch (node.content, shape) {
            case (.mapping, .object), (.mapping, .map), (.sequence, .list): return redacting(node, as: shape)
            case (.scalar, .integer) where node.integer != nil: return redacting(node, as: shape)
            case (.scalar, .flag) where node.flag != nil: return redacting(node, as: shape)
            case (.scalar, .number) where node.number != nil: return redacting(node, as: shape)
            case (.scalar, .text), (.scalar, .word), (.scalar, .duration), (.scalar, .byteCount):
                return shape.isShown ? node.text.map { .text($0) } ?? .null : redacting(node, as: shape)
            default: continue
            }
        }
        return .text(hidden)
    }

    /// Of a text that isn't shown: where a secret is kept, or a URL without user and query.
    private static func shown(_ text: String) -> String {
        if let secret = Secret(spelling: text) { return secret.description }
        guard let colon = text.firstIndex(of: ":") else { return hidden }
        let scheme = text[..<colon]
        guard
            (StoreURL.Scheme.allCases.map(\.rawValue) + SourceURL.Scheme.allCases.map(\.rawValue) + ["postgres"])
                .contains(String(scheme))
        else { return hidden }
        var rest = text[text.index(after: colon)...]
        if let query = rest.firstIndex(of: "?") { rest = rest[..<query] }
        // Whatever stands before the last @ may be a login.
        guard rest.hasPrefix("//"), let at = rest.lastIndex(of: "@") else { return "\(scheme):\(rest)" }
        return "\(scheme)://\(hidden)@\(rest[rest.index(after: at)...])"
    }
}
