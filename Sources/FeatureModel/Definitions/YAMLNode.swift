/// A piece of a YAML file and its place. Tags, anchors and types of scalars are gone: the declarations say what a scalar is.
struct YAMLNode: Sendable {
    enum Content: Sendable {
        /// `isPlain` is false for text in quotes or blocks.
        case scalar(String, isPlain: Bool)
        case mapping([Entry])
        case sequence([YAMLNode])
    }

    struct Entry: Sendable {
        let key: String
        let place: Place
        let value: YAMLNode
    }

    let content: Content
    let place: Place

    /// Whether nothing stands there: an empty value, `~` or `null`, not in quotes.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return text.isEmpty || text == "~" || text == "null" || text == "Null" || text == "NULL"
    }

    /// What stands there, for messages.
    var found: String {
        switch content {
        case _ where isNull: "nothing"
        case .scalar(let text, isPlain: true) where text.utf8.count <= 40 && Literal.isNumber(text): text
        case .scalar(let text, _): Text.quoted(text)
        case .mapping: "a mapping"
        case .sequence: "a list"
        }
    }

    /// The entries of a mapping; none for anything else.
    var entries: [Entry] {
        guard case .mapping(let entries) = content else { return [] }
        return entries
    }

    /// The elements of a list; none for anything else.
    var elements: [YAMLNode] {
        guard case .sequence(let elements) = content else { return [] }
        return elements
    }

    /// The value of a key, if this is a mapping that has it.
    subscript(_ key: String) -> YAMLNode? {
        entries.first { $0.key == key }?.value
    }
}

/// What the declarations take a scalar for. Each is `nil` where it is something else.
extension YAMLNode {
    var text: String? {
        guard case .scalar(let text, _) = content, !isNull else { return nil }
        return text
    }

    private var plain: String? {
        guard case .scalar(let text, isPlain: true) = content else { return nil }
        return text
    }

    var integer: Int64? { plain.flatMap(Literal.integer) }

    var number: Double? { plain.flatMap(Literal.number) }

    var flag: Bool? { plain.flatMap(Literal.flag) }

    var duration: Duration? { text.flatMap(Literal.duration) }

    var byteCount: Int64? { text.flatMap(Literal.byteCount) }

    var texts: [String] { elements.compactMap(\.text) }
}
