package import FeatureModel
import FoundationEssentials

/// One change that was carried out, or that failed in being carried out.
package struct AuditEntry: Hashable, Sendable {
    /// How it ended.
    package enum Outcome: String, Sendable {
        case done
        /// It was understood and not made: the state forbids it.
        case refused
        /// It broke off; what it changed is not known.
        case failed
    }

    /// Microseconds since 1970.
    package let at: Int64
    /// The name of the token.
    package let principal: String
    package let peer: String
    package let requestID: String
    /// What was done, as in `versions.activate`.
    package let action: String
    /// The view or breaker that it was done to; empty where there is one of it.
    package let target: String
    package let before: DocumentValue
    package let after: DocumentValue
    package let outcome: Outcome
    /// The answer's HTTP status.
    package let status: Int
    /// Why it wasn't done.
    package let error: String?

    /// The longest line, in bytes; of a longer entry before and after are left out.
    static let maximumBytes = 16_384

    /// The entry as it is answered and written.
    package var document: DocumentValue {
        var members: [String: DocumentValue] = [
            "at": .text(Timestamps.format(at)), "principal": .text(principal), "peer": .text(peer),
            "request_id": .text(requestID), "action": .text(action), "target": .text(target), "before": before,
            "after": after, "outcome": .text(outcome.rawValue), "status": .integer(Int64(status)),
        ]
        if let error { members["error"] = .text(error) }
        return .mapping(members)
    }

    /// The entry as a line of the file, with its line feed.
    var line: [UInt8] {
        let whole = AdminJSON.encode(document)
        if whole.count < Self.maximumBytes { return whole + [UInt8(ascii: "\n")] }
        guard case .mapping(var members) = document else { return [] }
        members["before"] = "(too large)"
        members["after"] = "(too large)"
        return AdminJSON.encode(.mapping(members)) + [UInt8(ascii: "\n")]
    }
}
