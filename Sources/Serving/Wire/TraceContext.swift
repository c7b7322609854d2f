/// W3C trace context: what `traceparent` says. A header that can't be read counts as none, as the standard asks.
package struct TraceContext: Sendable, Hashable {
    /// 128 bits, not all zero.
    package let traceHigh: UInt64
    package let traceLow: UInt64
    /// Not zero.
    package let parent: UInt64
    /// Bit 0: sampled. Bit 1: the trace id is random.
    package let flags: UInt8

    /// Whether the caller records this trace.
    package var isSampled: Bool { flags & 1 == 1 }

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
            high | low != 0, let parent = hex(16), parent != 0, dash(), let flags = hex(2)
        else { return nil }
        guard version == 0 ? length == 55 : length == 55 || dash() else { return nil }
        traceHigh = high
        traceLow = low
        self.parent = parent
        self.flags = UInt8(flags)
    }
}
