/// Headers of a request, as strings that the HTTP decoder has accepted.
package enum RequestHeaders {
    /// `X-Request-Timeout-Ms`.
    package static let timeout = "x-request-timeout-ms"
    /// `X-Request-Id`.
    package static let requestID = "x-request-id"
    /// `traceparent`.
    package static let traceparent = "traceparent"
    /// `tracestate`.
    package static let tracestate = "tracestate"

    /// Milliseconds that a caller allows: a decimal number, `1...600000`, without sign or blanks. `nil` where there is no
    /// header; `invalidTimeout` for anything else. Of several headers the smallest number counts.
    package static func timeoutMilliseconds(_ value: String?) throws(WireError) -> Int64? {
        guard let value else { return nil }
        var number: Int64 = 0
        for byte in value.utf8.prefix(7) {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { throw invalidTimeout }
            number = number * 10 + Int64(digit)
        }
        guard (1...6).contains(value.utf8.count), (1...600_000).contains(number) else { throw invalidTimeout }
        return number
    }

    private static let invalidTimeout = WireError(
        .invalidTimeout, "X-Request-Timeout-Ms is not a whole number from 1 to 600000")

    /// Whether a caller's request id may go into logs and answers: 1 to 128 letters, digits and `- _ . : / + = @`.
    package static func isRequestID(_ value: String) -> Bool {
        guard (1...128).contains(value.utf8.count) else { return false }
        return value.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"),
                UInt8(ascii: "+"), UInt8(ascii: "="), UInt8(ascii: "@"):
                true
            default: false
            }
        }
    }
}

/// Makes request ids. One an event loop: the loop's own start is random, and no id of it comes twice.
package struct RequestIDs {
    private var state: UInt64

    /// Starts anywhere.
    package init() {
        var random = SystemRandomNumberGenerator()
        state = random.next()
    }

    /// The caller's own id where it is a safe one, else a new one of 13 characters.
    package mutating func id(_ value: String?) -> String {
        if let value, RequestHeaders.isRequestID(value) { return value }
        return next()
    }

    /// A new id: 64 bits in Crockford's Base32, short enough for a `String` without allocation.
    package mutating func next() -> String {
        // SplitMix64 (Steele, Lea, Flood) is one-to-one.
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        mixed ^= mixed >> 31
        return unsafe String(unsafeUninitializedCapacity: 13) { buffer in
            for index in 0..<13 {
                unsafe buffer[index] = Self.digit(UInt8(truncatingIfNeeded: mixed >> UInt64(60 - 5 * index) & 31))
            }
            return 13
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        // Without i, l, o and u.
        switch value {
        case 0..<10: UInt8(ascii: "0") + value
        case 10..<18: UInt8(ascii: "a") + value - 10
        case 18..<20: UInt8(ascii: "j") + value - 18
        case 20..<22: UInt8(ascii: "m") + value - 20
        case 22..<27: UInt8(ascii: "p") + value - 22
        default: UInt8(ascii: "v") + value - 27
        }
    }
}
