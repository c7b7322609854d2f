/// Refuses structure that would cost the YAML parser much more than the file is long, or its stack.
///
/// The parser resolves aliases while it composes and hashes every key to find duplicates: a few lines of nested aliases
/// would take exponential time, and nested collections as keys quadratic. An alias needs an anchor, so anchors are refused
/// wherever `&` and a word follow something that can precede a value. Keys marked by `?` have no limit of length, so they
/// are refused; other keys end with their line and after 1,024 characters, so collections as keys are counted. The parser
/// also recurses; its own limit is 1,000 levels, ours is lower.
///
/// Text in quotes isn't told from structure: what is refused by mistake reads strange and has another spelling.
struct YAMLStructure {
    struct Problem {
        let index: Int
        let found: String
        let expected: String
        var help: String?
    }

    static let maximumCollectionKeys = 1_000

    /// What is wrong first.
    static func firstProblem(_ content: ArraySlice<UInt8>) -> Problem? {
        var structure = YAMLStructure(content: content)
        for index in content.indices {
            if let problem = structure.take(index) { return problem }
        }
        return nil
    }

    private let content: ArraySlice<UInt8>
    private var depth = 0
    /// The byte before.
    private var before = UInt8(ascii: "\n")
    /// The last byte of the line that is no blank, or a line end.
    private var solid = UInt8(ascii: "\n")
    private var collectionKeys = 0

    private init(content: ArraySlice<UInt8>) {
        self.content = content
    }

    private mutating func take(_ index: Int) -> Problem? {
        let byte = content[index]
        defer {
            before = byte
            if byte != 9, byte != 13, byte != 32 { solid = byte }
        }
        switch byte {
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            depth += 1
            guard depth > YAMLReader.maximumDepth else { return nil }
            return Problem(
                index: index, found: "more than \(YAMLReader.maximumDepth) levels of nesting", expected: "fewer")
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
            depth = max(0, depth - 1)
        case UInt8(ascii: "&") where (Self.isBlank(before) || Self.isIndicator(before)) && isWord(index + 1):
            return Problem(
                index: index, found: "an anchor (& and a word)", expected: "values written out",
                help: "anchors and aliases are not used here; in SQL write a blank behind &")
        case UInt8(ascii: "?") where Self.isIndicator(solid) && (depth > 0 || isBlankOrEnd(index + 1)):
            return Problem(
                index: index, found: "a key marked by ?", expected: "keys without it",
                help: "if it is text, such as a comment, write something before it")
        case UInt8(ascii: ":") where solid == UInt8(ascii: "]") || solid == UInt8(ascii: "}"):
            collectionKeys += 1
            guard collectionKeys > Self.maximumCollectionKeys else { return nil }
            return Problem(index: index, found: "collections as keys", expected: "words as keys")
        default: break
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 9 || byte == 13 || byte == 32
    }

    /// Whether a value can stand behind the byte.
    private static func isIndicator(_ byte: UInt8) -> Bool {
        switch byte {
        case 10, UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "-"),
            UInt8(ascii: "?"):
            true
        default: false
        }
    }

    private func isBlankOrEnd(_ index: Int) -> Bool {
        index >= content.endIndex || Self.isBlank(content[index]) || content[index] == 10
    }

    private func isWord(_ index: Int) -> Bool {
        guard index < content.endIndex else { return false }
        switch content[index] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            return true
        default: return false
        }
    }
}
