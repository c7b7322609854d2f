import GRPCCore
import Serving

/// The time that a call allows: its `grpc-timeout`, one to eight digits and a unit (gRPC over HTTP/2, "Timeout"), and
/// `x-request-timeout-ms` as over HTTP, for who wants an answer before the client's own deadline gives the call up.
enum CallTimeout {
    private static let key = "grpc-timeout"
    private static let hiddenKey = "tidemark-call-timeout"

    /// The same metadata, with the timeout where only `of` looks for it.
    static func hide(_ metadata: Metadata) -> Metadata {
        var hidden = metadata
        hidden.removeAllValues(forKey: hiddenKey)
        for timeout in metadata[stringValues: key] { hidden.addString(timeout, forKey: hiddenKey) }
        hidden.removeAllValues(forKey: key)
        return hidden
    }

    /// The timeout of a call whose metadata went through `hide`, the shortest where it brings several; `nil` when it brings none.
    ///
    /// - Throws: INVALID_ARGUMENT for anything that the protocol doesn't know, and for two of `grpc-timeout`.
    static func of(_ metadata: Metadata) throws(RPCError) -> Duration? {
        var shortest = try ofProtocol(metadata)
        for value in metadata[stringValues: RequestHeaders.timeout] {
            do throws(WireError) {
                guard let milliseconds = try RequestHeaders.timeoutMilliseconds(value) else { continue }
                shortest = min(shortest ?? .milliseconds(milliseconds), .milliseconds(milliseconds))
            } catch {
                throw RPCError(error)
            }
        }
        return shortest
    }

    private static func ofProtocol(_ metadata: Metadata) throws(RPCError) -> Duration? {
        var found: String?
        for value in metadata[stringValues: hiddenKey] {
            guard found == nil else { throw RPCError(code: .invalidArgument, message: "grpc-timeout is there twice") }
            found = value
        }
        guard let found else { return nil }
        guard let timeout = parse(found) else {
            throw RPCError(
                code: .invalidArgument, message: "grpc-timeout is one to eight digits and one of H, M, S, m, u, n")
        }
        return timeout
    }

    /// `nil` for anything that the protocol doesn't know.
    static func parse(_ text: String) -> Duration? {
        let bytes = Array(text.utf8)
        guard (2...9).contains(bytes.count), let unit = bytes.last else { return nil }
        var amount: Int64 = 0
        for byte in bytes.dropLast() {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            amount = amount * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        switch unit {
        case UInt8(ascii: "H"): return .seconds(amount * 3_600)
        case UInt8(ascii: "M"): return .seconds(amount * 60)
        case UInt8(ascii: "S"): return .seconds(amount)
        case UInt8(ascii: "m"): return .milliseconds(amount)
        case UInt8(ascii: "u"): return .microseconds(amount)
        case UInt8(ascii: "n"): return .nanoseconds(amount)
        default: return nil
        }
    }
}
