import FeatureModel
import Testing

/// No file traps the reader, takes it long, or is answered with anything but a catalog or errors that name their place.
@Suite struct HostileYAMLTests {
    private func compile(_ text: [UInt8]) -> DefinitionErrors? {
        do {
            _ = try Catalog.compile(project: "shop", files: [("a.yaml", text)])
            return nil
        } catch {
            return error
        }
    }

    private func compile(_ text: String) -> String {
        compile(Array(text.utf8))?.description ?? ""
    }

    /// Reads a text as definitions and as config. What they answer must be well-formed.
    private func readBoth(_ text: [UInt8], _ comment: String) {
        let lines = text.count { $0 == UInt8(ascii: "\n") } + 1
        var answers = [compile(text)]
        do {
            _ = try Config.parse(file: "a.yaml", text: text)
        } catch {
            answers.append(error)
        }
        for error in answers.compactMap({ $0 }).flatMap(\.errors) {
            guard (1...lines).contains(error.line), error.column >= 1, error.description.utf8.count < 8_192 else {
                Issue.record("\(comment): \(error)")
                return
            }
        }
    }

    private static let samples = [WrongDefinitionTests.right, ConfigTests.right]

    @Test func filesCutAtEachByteAreAnswered() throws {
        for sample in Self.samples + [try Files.text("schemas/shop/users.yaml")] {
            let bytes = Array(sample.utf8)
            for count in bytes.indices { readBoth(Array(bytes[..<count]), "cut at \(count)") }
        }
    }

    @Test func oneFlippedBitIsAnswered() {
        for sample in Self.samples {
            let bytes = Array(sample.utf8)
            for index in bytes.indices {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[index] ^= 1 << UInt8(bit)
                    readBoth(changed, "bit \(bit) of byte \(index)")
                }
            }
        }
    }

    @Test func seededMutationsAreAnswered() {
        let seed: UInt64 = 0x7961_6d6c
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let pieces = [
            "{", "}", "[", "]", ":", ": ", "- ", "? ", "\n", "\n  ", "'", "\"", "|", ">", "#", "&a ", "*a ", "!t ", "%",
            "@",
            "\t", "~", "null", "---\n", "...\n", "<<: ", "\\", "\u{0}", "\u{85}", "\u{2028}", "\u{feff}", "é", "9e999",
            ",",
        ].map { Array($0.utf8) }
        for round in 0..<10_000 {
            var text = Array(Self.samples[round % Self.samples.count].utf8)
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0...text.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0:
                    text.insert(contentsOf: pieces[Int.random(in: 0..<pieces.count, using: &generator)], at: place)
                case 1:
                    text.removeSubrange(place..<min(text.count, place + Int.random(in: 1...20, using: &generator)))
                case 2:
                    let end = min(text.count, place + Int.random(in: 1...80, using: &generator))
                    text.insert(contentsOf: text[place..<end], at: Int.random(in: 0...text.count, using: &generator))
                default:
                    text.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                }
            }
            readBoth(text, "round \(round) of seed \(seed)")
        }
    }

    @Test(.timeLimit(.minutes(1))) func bombsOfAliasesAreRefused() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...40 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        #expect(compile(text).contains("a.yaml:1: found an anchor"))
        #expect(compile(text + "? *a40\n: 1").contains("an anchor"))
        for text in [
            "{\"a\":&b [1]}", "- &b 1", "[&b 1,2]", "a:\t&b 1", "&b a: 1",
            "--- &b\na: 1", "a: !!map &b {}",
        ] {
            #expect(compile(text).contains("an anchor"), "\(text)")
        }
        #expect(compile("views: *b").contains("alias"))
    }

    @Test func anAmpersandInTextIsNoAnchor() {
        for query in ["SELECT a & b FROM t", "SELECT a&b FROM t", "'SELECT 1 /* R&D */'"] {
            let text = WrongDefinitionTests.right.replacing(
                "SELECT user_id, clicks, updated_at FROM activity", with: query)
            #expect(compile(text) == "")
        }
    }

    @Test func filesAboveTheLimitAreRefusedAtOnce() {
        let comment = String(repeating: "#", count: 1 << 20)
        #expect(compile(comment + "\n").contains("at most 1048576 bytes a file"))
        let fill = String(repeating: " ", count: (1 << 20) - WrongDefinitionTests.right.utf8.count - 1)
        #expect(compile(WrongDefinitionTests.right + "\n" + fill) == "")
        #expect(compile(WrongDefinitionTests.right + "\n" + fill + " ").contains("at most"))
    }

    @Test(.timeLimit(.minutes(1))) func deepNestingIsRefused() {
        let texts = [
            String(repeating: "[", count: 500_000), String(repeating: "{a: ", count: 200_000),
            String(repeating: "- ", count: 500_000), String(repeating: "? ", count: 500_000),
            String(repeating: "[\"]\",", count: 150_000), String(repeating: "{\"}\": ", count: 100_000),
            (0..<1_000).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n"),
            (0..<65).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n"),
        ]
        for (index, text) in texts.enumerated() { #expect(!compile(text).isEmpty, "text \(index)") }
    }

    @Test(arguments: ["a: 1\rb: 2\n", "a: \u{85}1", "a: 1\u{2028}b: 2", "a: \"\u{2029}\"", "a: 1\n\u{feff}b: 1"])
    func lineEndsThatEditorsDontKnowAreRefused(_ text: String) {
        #expect(compile(text).contains("found another line end than LF or CRLF"))
    }

    @Test func nestingIsAcceptedToTheLimit() {
        func nested(_ depth: Int) -> String {
            "project: a\nonline_store: {url: \"memory:\"}\nsources: {s: {url: \"csv:a\"}}\nresilience: {a: "
                + String(repeating: "[", count: depth - 3) + "1" + String(repeating: "]", count: depth - 3) + "}\n"
        }
        func isRead(_ text: String) -> Bool {
            (try? Config.parse(file: "a.yaml", text: Array(text.utf8))) != nil
        }
        #expect(isRead(nested(64)))
        #expect(!isRead(nested(65)))
    }

    @Test(.timeLimit(.minutes(1))) func tooManyNodesAreRefused() {
        let list = String(repeating: "1,", count: 100_001)
        #expect(compile("a: [\(list)]").contains("more than 100000 values"))
        #expect(compile("a: {" + (0..<60_000).map { "k\($0): 1," }.joined() + "}").contains("more than 100000 values"))
    }

    @Test(.timeLimit(.minutes(1))) func keysThatAreCostlyToCompareAreAnswered() {
        let key = String(repeating: "{", count: 60) + String(repeating: "}", count: 60)
        #expect(compile("{" + (0..<8_000).map { "\(key): \($0)," }.joined() + "}").contains("collections as keys"))
        #expect(!compile("{" + (0..<900).map { "\(key): \($0)," }.joined() + "}").isEmpty)
        #expect(compile("{? \(key) : 1}").contains("a key marked by ?"))
        #expect(!compile(String(repeating: "a", count: 1_000_000) + ": 1").isEmpty)
    }

    @Test(.timeLimit(.minutes(1))) func floodsOfMistakesAreAnswered() {
        let unknown = (0..<45_000).map { "k\($0): 1" }.joined(separator: "\n")
        #expect(compile(unknown).hasSuffix("and 44900 more"))
        let views = (0..<1_000).map { "  v\($0): {}" }.joined(separator: "\n")
        let service = "services: {s: [" + (0..<1_000).map { "w\($0)," }.joined() + "]}"
        #expect(compile("views:\n\(views)\n\(service)").contains("more"))
        let number = String(repeating: "9", count: 500_000)
        #expect(compile("entities: \(number)").utf8.count < 1_000)
        let name = String(repeating: "n", count: 500_000)
        let long = WrongDefinitionTests.right.replacing("user:", with: "\"\(name)\\n\":").replacing(
            "user\n", with: "usr\n")
        #expect(compile(long).utf8.count < 5_000)
    }

    @Test func controlCharactersByEscapeAreRefused() {
        #expect(compile("a: \"\\0\"").contains("a control character"))
        #expect(compile("a: \"\\e[31m\"").contains("a control character"))
        #expect(compile("\"\\x07\": 1").contains("a control character"))
    }

    @Test func messagesShowHostileTextShortAndEscaped() {
        let text = "\"" + String(repeating: "x", count: 5_000) + "\\n\": 1"
        let errors = compile(Array(text.utf8))
        #expect(errors?.errors.count == 1)
        #expect(errors?.description.utf8.count ?? .max < 400)
        #expect(errors?.description.contains("\n") == false)
    }
}
