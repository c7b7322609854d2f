/// What can be said of a watermark's text without asking its source.
///
/// A watermark is `start`, or a word, a colon and a place: `end:` and `mid:` follow a column, `seq:` and `xid:` a log of
/// changes. A view's watermarks are all of one kind.
enum WatermarkKind {
    /// The longest watermark, in bytes.
    static let maximumBytes = 4_096

    /// What was expected, in words, where `text` can't stand where `present` stands; `nil` where it can.
    static func mismatch(_ text: String, with present: String) -> String? {
        guard (1...maximumBytes).contains(text.utf8.count), text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            return "printable ASCII, at most \(maximumBytes) bytes, as in \(present)"
        }
        switch word(present) {
        case "start", "end", "mid":
            guard ["start", "end", "mid"].contains(word(text)), text == "start" || hasPlace(text) else {
                return "start, end:… or mid:…, as in \(present)"
            }
        case let log:
            guard word(text) == log, hasPlace(text), isNumber(text.dropFirst(log.utf8.count + 1)) else {
                return "\(log):NUMBER, as in \(present)"
            }
        }
        return nil
    }

    private static func word(_ text: String) -> String {
        String(text.prefix { $0 != ":" })
    }

    private static func hasPlace(_ text: String) -> Bool {
        text.contains(":") && text.last != ":"
    }

    /// A number, or one with more behind it.
    private static func isNumber(_ text: Substring) -> Bool {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        return UInt64(digits) != nil && (digits.endIndex == text.endIndex || "@ ".contains(text[digits.endIndex]))
    }
}
