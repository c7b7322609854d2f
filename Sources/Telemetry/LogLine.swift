import Logging

/// One log line in the making: bounded, on one line, and unable to pass for two.
///
/// Control characters, line separators and the characters that turn the direction of text are escaped in both formats.
/// What doesn't fit is cut or left out, never split within a character, and the line says so with `truncated`.
struct LogLine {
    /// Keys of a line that metadata can't take; `error` is free where the event carries none.
    private static let reserved: Set<String> = ["time", "level", "logger", "message", "truncated"]
    private static let deepestNesting = 4
    private static let longestKey = 128

    private let format: LogFormat
    private let limit: Int
    private var bytes: [UInt8] = []
    private var isTruncated = false

    /// `limit` is the most bytes of the line, its line feed included; at least 512.
    init(format: LogFormat, limit: Int) {
        self.format = format
        self.limit = max(512, limit)
        bytes.reserveCapacity(256)
    }

    /// Spells one event, which happened `milliseconds` after 1970, as a line of at most `limit` bytes, line feed included.
    static func encode(
        _ format: LogFormat, limit: Int, at milliseconds: Int64, level: Logger.Level, label: String, message: String,
        error: String?, metadata: Logger.Metadata
    ) -> [UInt8] {
        var line = LogLine(format: format, limit: limit)
        line.open(at: milliseconds, level: level, label: label, message: message)
        if let error { line.field("error", .string(error)) }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            let isTaken = reserved.contains(key) || (error != nil && key == "error")
            line.field(isTaken ? free(key, in: metadata) : key, value)
        }
        return line.close()
    }

    /// Room for the end of the line, which comes whatever was left out before it.
    private var room: Int { limit - 20 }

    private static func free(_ key: String, in metadata: Logger.Metadata) -> String {
        var other = key + "_"
        while metadata[other] != nil { other += "_" }
        return other
    }

    private mutating func open(at milliseconds: Int64, level: Logger.Level, label: String, message: String) {
        let time = Self.timestamp(milliseconds)
        switch format {
        case .json:
            add("{\"time\":\"\(time)\",\"level\":\"\(level.rawValue)\",\"logger\":\"")
            add(escaping: label, limit: Self.longestKey)
            add("\",\"message\":\"")
            add(escaping: message, limit: limit / 2)
            add("\"")
        case .text:
            let name = level.rawValue
            add("\(time) \(name)\(String(repeating: " ", count: max(0, 8 - name.utf8.count))) ")
            add(escaping: label, limit: Self.longestKey)
            add(": ")
            add(escaping: message, limit: limit / 2)
        }
    }

    private mutating func field(_ key: String, _ value: Logger.MetadataValue) {
        let start = bytes.count
        switch format {
        case .json:
            add(",\"")
            add(escaping: key, limit: Self.longestKey)
            add("\":")
            add(value, depth: 0)
        case .text:
            add(" ")
            add(escaping: key, limit: Self.longestKey)
            add("=")
            add(bare: value)
        }
        guard bytes.count > room else { return }
        bytes.removeSubrange(start...)
        isTruncated = true
    }

    private mutating func close() -> [UInt8] {
        switch format {
        case .json: add(isTruncated ? ",\"truncated\":true}\n" : "}\n")
        case .text: add(isTruncated ? " truncated=true\n" : "\n")
        }
        return bytes
    }

    /// In text, a lone word stands bare and everything else as in JSON.
    private mutating func add(bare value: Logger.MetadataValue) {
        let text: String
        switch value {
        case .string(let string): text = string
        case .stringConvertible(let convertible): text = convertible.description
        case .array, .dictionary: return add(value, depth: 0)
        }
        let isWord = !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x3D }
        if isWord { add(escaping: text, limit: limit / 4) } else { add(.string(text), depth: 0) }
    }

    private mutating func add(_ value: Logger.MetadataValue, depth: Int) {
        // A field that is already too long is taken back whole: no need to finish it.
        guard bytes.count <= room else { return }
        switch value {
        case .string(let string):
            add(quoting: string)
        case .stringConvertible(let convertible):
            add(quoting: convertible.description)
        case .array, .dictionary:
            guard depth < Self.deepestNesting else {
                isTruncated = true
                return add("null")
            }
            addContainer(value, depth: depth + 1)
        }
    }

    private mutating func addContainer(_ value: Logger.MetadataValue, depth: Int) {
        if case .array(let elements) = value {
            add("[")
            for (index, element) in elements.enumerated() where bytes.count <= room {
                if index > 0 { add(",") }
                add(element, depth: depth)
            }
            add("]")
        } else if case .dictionary(let fields) = value {
            add("{")
            for (index, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() where bytes.count <= room {
                if index > 0 { add(",") }
                add(quoting: field.key)
                add(":")
                add(field.value, depth: depth)
            }
            add("}")
        }
    }

    private mutating func add(quoting text: String) {
        add("\"")
        add(escaping: text, limit: limit / 4)
        add("\"")
    }

    private mutating func add(_ text: String) {
        bytes += text.utf8
    }

    private mutating func add(escaping text: String, limit: Int) {
        let start = bytes.count
        for scalar in text.unicodeScalars {
            let before = bytes.count
            addEscaped(scalar)
            guard bytes.count - start > limit else { continue }
            bytes.removeSubrange(before...)
            isTruncated = true
            return
        }
    }

    private mutating func addEscaped(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"" where format == .json: add("\\\"")
        case "\"": add("\\\"")
        case "\\": add("\\\\")
        case "\n": add("\\n")
        case "\r": add("\\r")
        case "\t": add("\\t")
        default:
            guard Self.isUnsafe(scalar.value) else { return bytes.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
            let digits = String(scalar.value, radix: 16)
            add("\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits)
        }
    }

    /// C0, DEL, C1, the line and paragraph separators, and the marks that reorder what a terminal shows.
    private static func isUnsafe(_ value: UInt32) -> Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
