import FeatureModel

/// How a database writes its times as text. Texts of one style sort as their times do; texts of two styles do not.
struct TextTimeStyle: Hashable, Sendable {
    /// Between date and time: `T`, `t` or a blank; `nil` for dates alone.
    let separator: Character?
    let hasSeconds: Bool
    let fractionDigits: Int
    /// Behind the time: nothing, `Z`, or an offset such as `+02:00`.
    let suffix: String

    /// The style of a text that `Timestamps.parse` accepts; `nil` for other texts.
    init?(_ text: String) {
        guard text.utf8.count <= 40, Timestamps.parse(text) != nil else { return nil }
        let characters = Array(text)
        guard characters.count > 10 else {
            separator = nil
            hasSeconds = false
            fractionDigits = 0
            suffix = ""
            return
        }
        separator = characters[10]
        var rest = characters.dropFirst(16)
        hasSeconds = rest.first == ":"
        if hasSeconds { rest = rest.dropFirst(3) }
        if rest.first == "." {
            let digits = rest.dropFirst().prefix { $0.isNumber }
            fractionDigits = digits.count
            rest = rest.dropFirst(1 + digits.count)
        } else {
            fractionDigits = 0
        }
        suffix = String(rest)
    }

    /// Writes a time in this style, cut (not rounded) to its precision.
    func render(_ microseconds: Int64) -> String {
        let shifted = min(max(microseconds + offset, Timestamps.range.lowerBound), Timestamps.range.upperBound)
        let plain = Array(Timestamps.format(shifted))
        var text = String(plain.prefix(10))
        guard let separator else { return text }
        text.append(separator)
        text += String(plain[11..<16])
        if hasSeconds { text += String(plain[16..<19]) }
        if fractionDigits > 0 {
            let remainder = shifted % 1_000_000
            let micros = String(remainder < 0 ? remainder + 1_000_000 : remainder)
            let digits = String(repeating: "0", count: 6 - micros.count) + micros + "000"
            text += "." + digits.prefix(fractionDigits)
        }
        return text + suffix
    }

    /// Whether a text that is a time is written in this style.
    func matches(_ text: Span<UInt8>) -> Bool {
        guard text.count == length else { return false }
        guard let separator = separator?.asciiValue else { return true }
        let fraction = 16 + (hasSeconds ? 3 : 0)
        guard text[10] == separator, hasSeconds == (text.count > 16 && text[16] == UInt8(ascii: ":")),
            (fractionDigits > 0) == (text.count > fraction && text[fraction] == UInt8(ascii: "."))
        else { return false }
        var index = text.count - suffix.utf8.count
        for byte in suffix.utf8 {
            if text[index] != byte { return false }
            index += 1
        }
        return true
    }

    private var length: Int {
        guard separator != nil else { return 10 }
        return 16 + (hasSeconds ? 3 : 0) + (fractionDigits > 0 ? 1 + fractionDigits : 0) + suffix.utf8.count
    }

    /// How far the written time is ahead of UTC, in microseconds.
    private var offset: Int64 {
        guard let utc = Timestamps.parse("2000-01-01T00:00:00Z"),
            let here = Timestamps.parse("2000-01-01T00:00:00" + suffix)
        else { return 0 }
        return utc - here
    }

    /// What one of the last written digit stands for, in microseconds (at least 1).
    var precision: Int64 {
        guard separator != nil else { return 86_400_000_000 }
        guard hasSeconds else { return 60_000_000 }
        var size: Int64 = 1_000_000
        for _ in 0..<min(fractionDigits, 6) { size /= 10 }
        return size
    }
}
