/// Names and constants as they stand in SQL.
enum PostgresIdentifier {
    /// `name` in double quotes, exactly as written: no folding to lower case.
    static func quote(_ name: String) -> String {
        var text = "\""
        for scalar in name.unicodeScalars {
            if scalar == "\"" { text += "\"" }
            text.unicodeScalars.append(scalar)
        }
        return text + "\""
    }

    /// A string constant.
    static func literal(_ value: String) -> String {
        var text = "'"
        for scalar in value.unicodeScalars {
            if scalar == "'" { text += "'" }
            text.unicodeScalars.append(scalar)
        }
        // With standard_conforming_strings, which every session sets, a backslash is a backslash.
        return text + "'"
    }

    /// The parts of a table's name as a definition spells it: `users`, `shop.users`, `shop."odd.name"`.
    ///
    /// - Returns: One or two parts, or `nil` for anything else.
    static func parts(ofTable name: String) -> [String]? {
        var parts: [String] = []
        var part = ""
        var isQuoted = false
        var scalars = Array(name.unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\"" where isQuoted && scalars.first == "\"":
                scalars.removeFirst()
                part.unicodeScalars.append(scalar)
            case "\"" where isQuoted || part.isEmpty: isQuoted.toggle()
            case "." where !isQuoted:
                parts.append(part)
                part = ""
            case "\0": return nil
            default: part.unicodeScalars.append(scalar)
            }
        }
        parts.append(part)
        return isQuoted || parts.contains("") || parts.count > 2 ? nil : parts
    }

    /// Up to three names that are close to `name`, nearest first.
    static func nearest(to name: String, among names: [String]) -> [String] {
        let limit = max(2, name.count / 2)
        return
            names
            .map { (distance(name.lowercased(), $0.lowercased()), $0) }
            .filter { $0.0 <= limit }
            .sorted { $0.0 < $1.0 }
            .prefix(3)
            .map(\.1)
    }

    /// Levenshtein's distance, of the first 64 characters.
    private static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.prefix(64))
        let right = Array(right.prefix(64))
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a == b ? 0 : 1))
                diagonal = above
            }
        }
        return row[right.count]
    }
}
