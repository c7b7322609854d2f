/// What can be told of a SQL text without its database: where it ends, what it begins with, which `:names` it has.
///
/// Knows text in quotes, names in quotes (`"…"`, `` `…` ``), PostgreSQL's dollar quotes, and both kinds of comments.
struct SQLText {
    enum Problem: Hashable {
        /// A statement behind another.
        case severalStatements
        /// Something in quotes, or a comment, that doesn't end.
        case unterminated(String)
        /// The statement's first word is not SELECT or WITH.
        case notAQuery(String)
    }

    /// The statement without what stands behind it: semicolons, blanks, comments.
    let statement: String
    /// The names written as `:name`, in order.
    let parameters: [String]
    let problem: Problem?

    init(_ text: String) {
        var scanner = Scanner(bytes: Array(text.utf8))
        scanner.run()
        statement = String(decoding: scanner.bytes[..<scanner.end], as: UTF8.self)
        parameters = scanner.parameters
        if let problem = scanner.problem {
            self.problem = problem
        } else if !["select", "with"].contains(scanner.firstWord.lowercased()) {
            problem = .notAQuery(scanner.firstWord)
        } else {
            problem = nil
        }
    }

    private struct Scanner {
        let bytes: [UInt8]
        var index = 0
        /// Behind the last byte that counts.
        var end = 0
        var firstWord = ""
        var parameters: [String] = []
        var problem: Problem?
        private var hasEnded = false

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        mutating func run() {
            while index < bytes.count, problem == nil {
                switch bytes[index] {
                case 9, 10, 13, 32: index += 1
                case UInt8(ascii: ";"):
                    hasEnded = true
                    index += 1
                case UInt8(ascii: "-") where next == UInt8(ascii: "-"): skipLine()
                case UInt8(ascii: "/") where next == UInt8(ascii: "*"): skipComment()
                default: takeToken()
                }
            }
        }

        private var next: UInt8? { index + 1 < bytes.count ? bytes[index + 1] : nil }

        private mutating func skipLine() {
            while index < bytes.count, bytes[index] != 10 { index += 1 }
        }

        private mutating func skipComment() {
            index += 2
            while index < bytes.count {
                if bytes[index] == UInt8(ascii: "*"), next == UInt8(ascii: "/") {
                    index += 2
                    return
                }
                index += 1
            }
            problem = .unterminated("a comment")
        }

        private mutating func takeToken() {
            guard !hasEnded else {
                problem = .severalStatements
                return
            }
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "'"): skipQuoted(byte, name: "text in quotes")
            case UInt8(ascii: "\""), UInt8(ascii: "`"): skipQuoted(byte, name: "a name in quotes")
            case UInt8(ascii: "$") where skipDollarQuoted(): break
            case UInt8(ascii: ":"): takeColon()
            case _ where Self.isWord(byte):
                let word = takeWord()
                if firstWord.isEmpty { firstWord = word }
            default:
                if firstWord.isEmpty { firstWord = String(decoding: [byte], as: UTF8.self) }
                index += 1
            }
            end = index
        }

        private mutating func skipQuoted(_ quote: UInt8, name: String) {
            index += 1
            while index < bytes.count, bytes[index] != quote { index += 1 }
            if index == bytes.count { problem = .unterminated(name) } else { index += 1 }
        }

        /// Skips `$tag$ … $tag$` if that is what stands here.
        private mutating func skipDollarQuoted() -> Bool {
            var close = index + 1
            while close < bytes.count, Self.isWord(bytes[close]), bytes[close] != UInt8(ascii: "$") { close += 1 }
            guard close < bytes.count, bytes[close] == UInt8(ascii: "$"),
                close == index + 1 || !(48...57).contains(bytes[index + 1])
            else { return false }
            let tag = bytes[index...close]
            var place = close + 1
            while place + tag.count <= bytes.count {
                if bytes[place..<place + tag.count].elementsEqual(tag) {
                    index = place + tag.count
                    return true
                }
                place += 1
            }
            problem = .unterminated("text in dollar quotes")
            index = bytes.count
            return true
        }

        /// A parameter, unless the colon belongs to a cast (`::`) or a slice (`a[1:n]`).
        private mutating func takeColon() {
            if next == UInt8(ascii: ":") {
                index += 2
                return
            }
            let before = index == 0 ? 32 : bytes[index - 1]
            index += 1
            guard !Self.isWord(before), before != UInt8(ascii: "]"), index < bytes.count, Self.isWord(bytes[index]),
                !(48...57).contains(bytes[index])
            else { return }
            parameters.append(takeWord())
        }

        private mutating func takeWord() -> String {
            let start = index
            while index < bytes.count, Self.isWord(bytes[index]) { index += 1 }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }

        private static func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
                true
            default: false
            }
        }
    }
}
