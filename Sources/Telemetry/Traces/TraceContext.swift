/// W3C trace context: a span and the trace it belongs to, as `traceparent` says it. A header that can't be read counts as
/// none, as the standard asks.
package struct TraceContext: Sendable, Hashable {
    /// 128 bits, not all zero.
    package let traceHigh: UInt64
    package let traceLow: UInt64
    /// The span that whoever gets this is a child of. Not zero.
    package let span: UInt64
    /// Bit 0: sampled. Bit 1: the trace id is random.
    package let flags: UInt8

    /// Whether this trace is recorded.
    package var isSampled: Bool { flags & Self.sampled != 0 }

    static let sampled: UInt8 = 1
    static let randomID: UInt8 = 2

    init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, flags: UInt8) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.span = span
        self.flags = flags
    }

    /// Reads `00-<32 hex>-<16 hex>-<2 hex>` in lower case. Of a later version the same 55 characters count, and what
    /// follows behind a further `-` is skipped.
    package init?(traceparent text: String) {
        var bytes = text.utf8.makeIterator()
        let length = text.utf8.count
        func hex(_ digits: Int) -> UInt64? {
            var value: UInt64 = 0
            for _ in 0..<digits {
                switch bytes.next() {
                case let byte? where byte &- UInt8(ascii: "0") < 10:
                    value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
                case let byte? where byte &- UInt8(ascii: "a") < 6:
                    value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
                default: return nil
                }
            }
            return value
        }
        func dash() -> Bool { bytes.next() == UInt8(ascii: "-") }
        guard length >= 55, let version = hex(2), version != 0xFF, dash(), let high = hex(16), let low = hex(16),
            dash(),
            high | low != 0, let span = hex(16), span != 0, dash(), let flags = hex(2)
        else { return nil }
        guard version == 0 ? length == 55 : length == 55 || dash() else { return nil }
        traceHigh = high
        traceLow = low
        self.span = span
        self.flags = UInt8(flags)
    }

    /// The 32 digits that name the trace.
    package var traceID: String { Hex.text(traceHigh, traceLow) }

    /// The 16 digits that name the span.
    package var spanID: String { Hex.text(span) }

    /// The header that hands the trace on, of version 00.
    package var traceparent: String { "00-\(traceID)-\(spanID)-\(Hex.text(byte: flags & 3))" }
}

/// What `tracestate` says, which is handed on as it came.
package enum TraceState {
    /// Longer ones need not be handed on (W3C trace context, 3.3.1.5).
    private static let longest = 512
    private static let members = 32

    /// The value of all `tracestate` headers together, when it can be handed on; of no use without a `traceparent`.
    package static func accepted(_ text: String) -> String? {
        guard (1...longest).contains(text.utf8.count) else { return nil }
        guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else { return nil }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= members else { return nil }
        // Empty members are allowed; others are `key=value`.
        let isList = parts.allSatisfy { part in
            let member = part.drop { $0 == " " || $0 == "\t" }
            return member.isEmpty || (member.first != "=" && member.contains("="))
        }
        return isList ? text : nil
    }
}

/// Numbers as lower-case hex digits, leading zeros and all.
enum Hex {
    static func text(_ numbers: UInt64...) -> String {
        unsafe String(unsafeUninitializedCapacity: 16 * numbers.count) { buffer in
            for (place, number) in numbers.enumerated() {
                for digit in 0..<16 {
                    unsafe buffer[16 * place + digit] = Self.digit(UInt8(number >> UInt64(60 - 4 * digit) & 15))
                }
            }
            return 16 * numbers.count
        }
    }

    static func text(byte: UInt8) -> String {
        unsafe String(unsafeUninitializedCapacity: 2) { buffer in
            unsafe buffer[0] = digit(byte >> 4)
            unsafe buffer[1] = digit(byte & 15)
            return 2
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
