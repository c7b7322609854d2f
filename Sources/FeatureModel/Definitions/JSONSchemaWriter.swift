/// Writes a declaration as a JSON Schema (draft 2020-12), which editors use to complete and check YAML files.
struct JSONSchemaWriter {
    private var definitions: [(String, JSONText)] = []
    /// By name; one name never stands for two shapes, of which the schema would have the first alone.
    private var written: [String: ObjectShape] = [:]

    /// The schema's text, with a line end.
    static func schema(_ root: ObjectShape, title: String) -> String {
        var writer = JSONSchemaWriter()
        let body = writer.members(root)
        var members: [(String, JSONText)] = [
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
            ("title", .string(title)),
        ]
        members += body
        if !writer.definitions.isEmpty { members.append(("$defs", .object(writer.definitions))) }
        return JSONText.object(members).formatted() + "\n"
    }

    private mutating func schema(_ shape: Shape) -> JSONText {
        switch shape {
        case .object(let object): return reference(object)
        case .either(let shapes): return .object([("anyOf", .array(shapes.map { schema($0) }))])
        case .list(let element, let count):
            return .object([
                ("type", .string("array")), ("items", schema(element)), ("minItems", .integer(Int64(count.lowerBound))),
                ("maxItems", .integer(Int64(count.upperBound))),
            ])
        case .map(let rule, let value, let count):
            return .object([
                ("type", .string("object")), ("propertyNames", .object(Self.members(rule))),
                ("additionalProperties", schema(value)), ("minProperties", .integer(Int64(count.lowerBound))),
                ("maxProperties", .integer(Int64(count.upperBound))),
            ])
        default: return .object(Self.leaf(shape))
        }
    }

    private mutating func reference(_ object: ObjectShape) -> JSONText {
        if let known = written[object.name] {
            precondition(known.isLike(object), "two shapes are called \(object.name)")
        } else {
            written[object.name] = object
            let place = definitions.count
            definitions.append((object.name, .bool(true)))
            definitions[place].1 = .object(members(object))
        }
        return .object([("$ref", .string("#/$defs/\(object.name)"))])
    }

    private mutating func members(_ object: ObjectShape) -> [(String, JSONText)] {
        var members: [(String, JSONText)] = [
            ("description", .string(object.summary)),
            ("type", .string("object")),
            ("additionalProperties", .bool(false)),
        ]
        let required = object.fields.filter(\.isRequired).map { JSONText.string($0.name) }
        if !required.isEmpty { members.append(("required", .array(required))) }
        if !object.exactlyOne.isEmpty {
            let choices = object.exactlyOne.map { JSONText.object([("required", .array([.string($0)]))]) }
            members.append(("oneOf", .array(choices)))
        }
        let dependent = object.fields.compactMap { field in
            field.onlyWith.map { (field.name, JSONText.array([.string($0)])) }
        }
        if !dependent.isEmpty { members.append(("dependentRequired", .object(dependent))) }
        let properties = object.fields.map { ($0.name, property($0)) }
        members.append(("properties", .object(properties)))
        return members
    }

    private mutating func property(_ field: Field) -> JSONText {
        let summary = field.fallback.map { "\(field.summary) Default: \($0)." } ?? field.summary
        guard case .object(let members) = schema(field.shape) else { return .bool(true) }
        return .object([("description", .string(summary))] + members)
    }

    private static func members(_ rule: TextRule) -> [(String, JSONText)] {
        var members: [(String, JSONText)] = []
        if let pattern = rule.schemaPattern { members.append(("pattern", .string(pattern))) }
        if rule.characters == nil {
            members += [("minLength", .integer(1)), ("maxLength", .integer(Int64(rule.maximumLength)))]
        }
        return members
    }

    private static func leaf(_ shape: Shape) -> [(String, JSONText)] {
        switch shape {
        case .text(let rule): [("type", .string("string"))] + members(rule)
        case .word(let words): [("enum", .array(words.map(JSONText.string)))]
        case .flag: [("type", .string("boolean"))]
        case .integer(let range):
            [
                ("type", .string("integer")), ("minimum", .integer(range.lowerBound)),
                ("maximum", .integer(range.upperBound)),
            ]
        case .number(let range):
            [
                ("type", .string("number")), ("minimum", .number(range.lowerBound)),
                ("maximum", .number(range.upperBound)),
            ]
        case .duration: [("type", .string("string")), ("pattern", .string(durationPattern))]
        case .byteCount(let range):
            [
                ("type", .array([.string("integer"), .string("string")])),
                ("minimum", .integer(range.lowerBound)), ("maximum", .integer(range.upperBound)),
                ("pattern", .string("^(0|[1-9][0-9]*)(KiB|MiB|GiB)?$")),
            ]
        case .literal:
            [
                ("type", .array([.string("boolean"), .string("number"), .string("string"), .string("array")])),
                ("items", .object([("type", .array([.string("boolean"), .string("number"), .string("string")]))])),
            ]
        case .anyMapping: [("type", .string("object"))]
        case .list, .map, .object, .either: []
        }
    }

    static let durationPattern = "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d|w)$"
}
