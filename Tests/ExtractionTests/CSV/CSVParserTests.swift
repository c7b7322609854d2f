import Testing

@testable import Extraction

/// The parser has no package face: its connector is. Its torture table is worth the look inside.
struct CSVParserTests {
    private static let good: [(String, [[String]])] = [
        ("", []), ("\n", []), ("\r\n\r\n", []), ("a", [["a"]]), ("a\n", [["a"]]),
        ("a,b\r\nc,d", [["a", "b"], ["c", "d"]]),
        (",", [["", ""]]), (",\n,", [["", ""], ["", ""]]), ("a\n\nb\n\n\n", [["a"], ["b"]]), ("\"\"", [["«»"]]),
        ("\"a\"", [["«a»"]]), ("\"a,b\",c", [["«a,b»", "c"]]), ("\"a\"\"b\"", [["«a\"b»"]]), ("\"\"\"\"", [["«\"»"]]),
        ("\"a\nb\",c\nd,e", [["«a\nb»", "c"], ["d", "e"]]), ("\"a\r\nb\"\r\n", [["«a\r\nb»"]]),
        ("\u{feff}a,b\n1,2", [["a", "b"], ["1", "2"]]), ("\u{feff}\"a\"", [["«a»"]]), (" a , b ", [[" a ", " b "]]),
        ("ü,😀\n\"ü\",", [["ü", "😀"], ["«ü»", ""]]), ("a,\"\"\r\n\"\",b", [["a", "«»"], ["«»", "b"]]),
        ("'a','b,c'", [["'a'", "'b", "c'"]]), ("a\tb;c", [["a\tb;c"]]), ("\"\n\n\"\nx", [["«\n\n»"], ["x"]]),
        ("a\0b,c", [["a\0b", "c"]]),
    ]

    private static let bad: [(String, Int)] = [
        ("\"a", 1), ("a\n\"b\nc", 2), ("a\"b", 1), ("\"a\"b", 1), ("x\n\"a\" ,b", 2), ("a\rb", 1), ("a\r", 1),
        ("\"a\"\rb", 1),
        ("a\n\n\n\"b\"\"c\"d", 4), ("\"a\n\nb\"x", 3), ("a,\"b\"\"", 1),
    ]

    /// Records as text, quoted fields in «».
    private func parse(_ bytes: [UInt8], slice: Int) throws -> [[String]] {
        var parser = CSVParser()
        var records: [[String]] = []
        func emit(_ record: borrowing CSVRecord) {
            var fields: [String] = []
            for index in 0..<record.count {
                let text = String(decoding: record.field(index), as: UTF8.self)
                fields.append(record.isQuoted[index] ? "«\(text)»" : text)
            }
            records.append(fields)
        }
        for start in stride(from: 0, to: bytes.count, by: slice) {
            try parser.feed(bytes[start..<min(start + slice, bytes.count)], emit)
        }
        try parser.finish(emit)
        return records
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func everyFieldComesThroughHoweverTheTextIsCut(slice: Int) throws {
        for (text, expected) in Self.good {
            let records = try parse(Array(text.utf8), slice: slice)
            #expect(records == expected, "\(text.debugDescription)")
        }
    }

    @Test(arguments: [1, 2, 5, 1_000])
    func whatIsNotCSVIsRefusedWithItsLine(slice: Int) {
        for (text, line) in Self.bad {
            #expect(throws: CSVSyntaxError.self, "\(text.debugDescription)") {
                try parse(Array(text.utf8), slice: slice)
            }
            do {
                _ = try parse(Array(text.utf8), slice: slice)
            } catch {
                let found = (error as? CSVSyntaxError)?.line
                #expect(found == line, "\(text.debugDescription)")
            }
        }
        #expect(throws: CSVSyntaxError.self) { try parse([0xff, 0xfe, 0x61, 0], slice: slice) }
        #expect(throws: CSVSyntaxError.self) { try parse([0xef, 0xbb, 0x61], slice: slice) }
    }

    @Test func limitsHoldOnBothSides() throws {
        let longest = [UInt8](repeating: 0x61, count: CSVParser.maximumField)
        #expect(try parse(longest, slice: 1 << 16).count == 1)
        #expect(throws: CSVSyntaxError.self) { try parse(longest + [0x61], slice: 1 << 16) }
        #expect(throws: CSVSyntaxError.self) { try parse([0x22] + longest + [0x61, 0x22], slice: 1 << 16) }
        let widest = [UInt8](repeating: 0x2c, count: CSVParser.maximumFields - 1)
        #expect(try parse(widest, slice: 1 << 16).first?.count == CSVParser.maximumFields)
        #expect(throws: CSVSyntaxError.self) { try parse(widest + [0x2c], slice: 1 << 16) }
        let half = [UInt8](repeating: 0x61, count: 1 << 19) + [0x2c]
        #expect(throws: CSVSyntaxError.self) {
            try parse(Array(repeating: half, count: 33).flatMap { $0 }, slice: 1 << 16)
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func whatIsWrittenByTheRulesIsReadBack(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let alphabet = ["a", "b", ",", "\"", "\n", "\r\n", "ü", "", " ", "0"]
        for _ in 0..<200 {
            var expected: [[String]] = []
            var text = ""
            let lineEnd = Bool.random(using: &random) ? "\n" : "\r\n"
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let fields = (0..<Int.random(in: 2...4, using: &random)).map { _ in
                    (0..<Int.random(in: 0...4, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? ""
                    }
                    .joined()
                }
                let written = fields.map { field -> (String, String) in
                    let needsQuotes = field.contains { "\",\n\r\r\n".contains($0) }
                    guard needsQuotes || Bool.random(using: &random) else { return (field, field) }
                    var quoted = ""
                    for character in field { quoted += character == "\"" ? "\"\"" : String(character) }
                    return ("\"\(quoted)\"", "«\(field)»")
                }
                text += written.map(\.0).joined(separator: ",") + lineEnd
                expected.append(written.map(\.1))
            }
            let records = try parse(Array(text.utf8), slice: Int.random(in: 1...9, using: &random))
            #expect(records == expected, "seed \(seed): \(text.debugDescription)")
        }
    }
}
