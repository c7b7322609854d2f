import FeatureModel
import Testing

/// Holds the code against the tables of `schemas/keys.md`.
@Suite struct GoldenKeyTests {
    private struct Unreadable: Error {
        let text: String
    }

    @Test func entityKeysAreSpeltAsTheTableSays() throws {
        let rows = try table("| values | spelling |")
        #expect(rows.count >= 25)
        for row in rows {
            let values = try row[0].split(separator: ";").map { try value(String($0)) }
            let spelling = try unquoted(row[1])
            let key = try #require(EntityKey(values.map(\.value)), "\(row[0])")
            #expect(key.text == spelling, "\(row[0])")
            let readBack = try #require(EntityKey(canonical: spelling).values(of: values.map(\.type)), "\(spelling)")
            #expect(readBack == values.map(\.value))
        }
    }

    @Test func rowKeysAreSpeltAsTheTableSays() throws {
        let rows = try table("| project | entity key | view key | version | row key |")
        #expect(rows.count >= 4)
        for row in rows {
            let version = try #require(Int(row[3]))
            let space = KeySpace(project: row[0], viewKey: row[2], version: version)
            let entity = EntityKey(canonical: try unquoted(row[1]))
            #expect(space.rowKey(entity) == (try unquoted(row[4])))
            #expect(space.entity(ofRowKey: try unquoted(row[4])) == entity)
        }
    }

    /// The cells of the table that has the given head.
    private func table(_ head: String) throws -> [[String]] {
        let lines = try Files.text("schemas/keys.md").split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == head }, "\(head)")
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map { line in
            line.dropFirst().dropLast().split(separator: "|").map { $0.trimmingPrefix(" ").description.trimmedEnd }
        }
    }

    private func unquoted(_ cell: String) throws -> String {
        guard cell.hasPrefix("`"), cell.hasSuffix("`") else { throw Unreadable(text: cell) }
        return String(cell.dropFirst().dropLast())
    }

    private func value(_ text: String) throws -> (type: EntityKeyType, value: EntityKeyValue) {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        guard let type = EntityKeyType(rawValue: words.first ?? "") else { throw Unreadable(text: text) }
        let rest = words.count == 2 ? words[1] : ""
        switch type {
        case .int32, .int64:
            return (type, .integer(try #require(Int64(rest))))
        case .string:
            guard rest.hasPrefix("\""), rest.hasSuffix("\"") else { throw Unreadable(text: text) }
            return (type, .text(try unescaped(rest.dropFirst().dropLast())))
        case .bytes:
            let digits = Array(rest)
            return (
                type,
                .bytes(
                    try stride(from: 0, to: digits.count, by: 2).map { index in
                        try #require(UInt8(String(digits[index..<index + 2]), radix: 16))
                    })
            )
        }
    }

    /// Reads `\u0000` and `\u{1f6d2}`.
    private func unescaped(_ text: Substring) throws -> String {
        var result = ""
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "\\", rest.popFirst() == "u" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var digits = rest.prefix(4)
            if rest.first == "{" {
                digits = rest.dropFirst().prefix { $0 != "}" }
                rest = rest.dropFirst(digits.count + 2)
            } else {
                rest = rest.dropFirst(4)
            }
            let code = try #require(UInt32(String(digits), radix: 16))
            result.unicodeScalars.append(try #require(Unicode.Scalar(code)))
        }
        return result
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        String(reversed().drop { $0 == " " }.reversed())
    }
}
