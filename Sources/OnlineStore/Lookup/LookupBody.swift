package import FeatureModel

/// The JSON body of `/v1/lookup`, as `INTERFACE` words it: statuses only in rows where some value is not PRESENT.
package enum LookupBody {
    /// Encodes an answer as UTF-8.
    package static func encode(_ answer: LookupAnswer, ages: Bool) -> [UInt8] {
        var body = JSONBytes()
        body.raw("{\"features\":[")
        body.list(answer.features) { $0.string("\($1.view):\($1.feature)") }
        body.raw("],\"rows\":[")
        body.list(answer.rows) { row(&$0, $1, ages: ages) }
        body.raw("],\"versions\":{")
        body.list(answer.versions.sorted { $0.key < $1.key }) {
            $0.string($1.key)
            $0.raw(":\($1.value)")
        }
        body.raw("}")
        if !answer.failures.isEmpty {
            body.raw(",\"degraded\":{\"stage\":\"store\",\"views\":{")
            body.list(answer.failures.sorted { $0.key < $1.key }) {
                $0.string($1.key)
                $0.raw(":")
                $0.string($1.value)
            }
            body.raw("}}")
        }
        body.raw("}")
        return body.bytes
    }

    private static func row(_ body: inout JSONBytes, _ row: [LookupAnswer.Value], ages: Bool) {
        body.raw("{\"values\":[")
        body.list(row) { $0.value($1.value) }
        body.raw("]")
        if row.contains(where: { $0.status != .present }) {
            body.raw(",\"statuses\":[")
            body.list(row) { $0.string($1.status.rawValue) }
            body.raw("]")
        }
        if ages {
            body.raw(",\"ages\":[")
            body.list(row) { $0.raw($1.age.map { "\($0.inSeconds)" } ?? "null") }
            body.raw("]")
        }
        body.raw("}")
    }
}

/// Appends JSON to bytes.
package struct JSONBytes {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// Text that is JSON already.
    package mutating func raw(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Elements with commas between them.
    package mutating func list<Element>(_ elements: [Element], _ write: (inout JSONBytes, Element) -> Void) {
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(&self, element)
        }
    }

    /// A quoted string, escaped as RFC 8259 asks.
    package mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                raw("\\u00")
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A feature value: 64-bit integers as numbers, bytes as Base64, timestamps as RFC 3339, numbers that JSON lacks as strings.
    package mutating func value(_ value: FeatureValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .int32(let number): raw(String(number))
        case .int64(let number): raw(String(number))
        case .float32(let number): number.isFinite ? raw("\(number)") : string("\(number)")
        case .float64(let number): number.isFinite ? raw("\(number)") : string("\(number)")
        case .string(let text): string(text)
        case .bytes(let bytes): string(Base64.encode(bytes))
        case .timestamp(let microseconds): string(Timestamps.format(microseconds))
        case .list(let elements):
            raw("[")
            list(elements) { $0.value($1) }
            raw("]")
        case .vector(let elements):
            raw("[")
            list(elements) { $0.value(.float32($1)) }
            raw("]")
        }
    }
}

/// RFC 4648 Base64 with padding.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let chunk = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for byte in chunk { bits = bits << 8 | UInt32(byte) }
            bits <<= UInt32(8 * (3 - chunk.count))
            for place in 0..<4 {
                text.append(
                    place <= chunk.count ? alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
