import FeatureModel

/// Numbers and times as people read them.
enum Words {
    /// 1,234,567
    static func count(_ number: Int64) -> String {
        var digits = Array(String(abs(number)))
        var index = digits.count - 3
        while index > 0 {
            digits.insert(",", at: index)
            index -= 3
        }
        return (number < 0 ? "-" : "") + String(digits)
    }

    /// 1 view, 2 views
    static func count(_ number: Int, _ thing: String) -> String {
        "\(count(Int64(number))) \(thing)\(number == 1 ? "" : "s")"
    }

    /// 512 B, 1.5 MiB
    static func bytes(_ number: Int64) -> String {
        var value = Double(number)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 { return unit == "B" ? "\(number) B" : "\(tenth(value)) \(unit)" }
            value /= 1024
        }
        return "\(tenth(value)) TiB"
    }

    /// 850ms, 3.2s, 4m 10s, 5h 2m, 3d 4h
    static func seconds(_ value: Double) -> String {
        guard value >= 0 else { return "-" + seconds(-value) }
        if value < 1 { return "\(Int((value * 1_000).rounded()))ms" }
        if value < 60 { return "\(tenth(value))s" }
        let whole = Int(value)
        if whole < 3_600 { return "\(whole / 60)m \(whole % 60)s" }
        if whole < 86_400 { return "\(whole / 3_600)h \(whole / 60 % 60)m" }
        return "\(whole / 86_400)d \(whole / 3_600 % 24)h"
    }

    /// 2010-12-01T08:26:00Z, `-` for none.
    static func time(_ microseconds: Int64?) -> String {
        microseconds.map { Timestamps.format($0 / 1_000_000 * 1_000_000) } ?? "-"
    }

    private static func tenth(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
