/// JSON that is written with its keys in the order given, so that generated files are stable.
indirect enum JSONText: Sendable {
    case string(String)
    case integer(Int64)
    case number(Double)
    case bool(Bool)
    case array([JSONText])
    case object([(String, JSONText)])

    /// The text with two blanks a level; short arrays of scalars in one line. Ends without a line end.
    func formatted(indent: String = "") -> String {
        switch self {
        case .string(let text): Self.quote(text)
        case .integer(let number): String(number)
        case .number(let number): number.plainSpelling
        case .bool(let flag): String(flag)
        case .array(let elements): Self.formatted(elements, indent)
        case .object(let members): Self.formatted(members, indent)
        }
    }

    private static func formatted(_ elements: [JSONText], _ indent: String) -> String {
        let line = "[" + elements.map { $0.formatted() }.joined(separator: ", ") + "]"
        if line.utf8.count + indent.utf8.count <= 100, !line.contains("\n") { return line }
        let inner = indent + "  "
        let parts = elements.map { inner + $0.formatted(indent: inner) }
        return "[\n\(parts.joined(separator: ",\n"))\n\(indent)]"
    }

    private static func formatted(_ members: [(String, JSONText)], _ indent: String) -> String {
        guard !members.isEmpty else { return "{}" }
        let inner = indent + "  "
        let parts = members.map { "\(inner)\(quote($0.0)): \($0.1.formatted(indent: inner))" }
        return "{\n\(parts.joined(separator: ",\n"))\n\(indent)}"
    }

    static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
