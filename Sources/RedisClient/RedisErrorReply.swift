/// An error reply of the server: its kind, and its text made safe to show.
package struct RedisErrorReply: Hashable, Sendable {
    /// What the first word of the reply says. Texts are those of Redis 6.2 to 7.2.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The data set is being loaded.
        case loading
        /// A replica was asked to write: the master was demoted.
        case readonly
        /// `maxmemory` is reached and nothing can be evicted.
        case oom
        /// Persistence fails, so writes are refused. `PING` gets it too.
        case misconf
        /// Fewer replicas than `min-replicas-to-write`.
        case noreplicas
        /// A script runs for longer than `busy-reply-threshold`.
        case busy
        /// The script is not in the server's cache.
        case noscript
        /// A transaction was dropped since one of its commands could not be queued.
        case execabort
        /// The key holds another type.
        case wrongtype
        /// No password was given where one is needed.
        case noauth
        /// User or password are wrong.
        case wrongpass
        /// The user lacks a permission.
        case noperm
        /// The server has as many clients as it may.
        case maxclients
        /// The slot lives on another node.
        case moved
        /// The slot is on its way to another node.
        case ask
        /// Keys of one command are on both sides of a slot's migration.
        case tryagain
        /// Keys of one command are in several slots.
        case crossslot
        /// The cluster has no majority, or nobody serves the slot.
        case clusterdown
        /// A replica without its master that may not serve stale data.
        case masterdown
        /// Everything else.
        case other
    }

    /// What the reply means for the caller.
    package let kind: Kind
    /// The text without control characters and echoed arguments, at most 200 characters.
    package let text: String

    /// Takes the text behind the `-` of an error reply.
    package init(_ raw: String) {
        kind = Self.kind(of: raw)
        text = Self.cleaned(raw)
    }

    /// The first word of the text: `FENCED` in `FENCED a newer lease exists`.
    package var prefix: Substring { text.prefix { $0 != " " } }

    private static func kind(of raw: String) -> Kind {
        switch raw.prefix(while: { $0 != " " }) {
        case "LOADING": .loading
        case "READONLY": .readonly
        case "OOM": .oom
        case "MISCONF": .misconf
        case "NOREPLICAS": .noreplicas
        case "BUSY": .busy
        case "NOSCRIPT": .noscript
        case "EXECABORT": .execabort
        case "WRONGTYPE": .wrongtype
        case "NOAUTH": .noauth
        case "WRONGPASS": .wrongpass
        case "NOPERM": .noperm
        case "MOVED": .moved
        case "ASK": .ask
        case "TRYAGAIN": .tryagain
        case "CROSSSLOT": .crossslot
        case "CLUSTERDOWN": .clusterdown
        case "MASTERDOWN": .masterdown
        default: raw.hasPrefix("ERR max number of clients") ? .maxclients : .other
        }
    }

    /// Cuts what echoes a client's arguments ("unknown command 'X', with args beginning with: …"): it may be a password.
    private static func cleaned(_ raw: String) -> String {
        var text = ""
        for scalar in raw.unicodeScalars.prefix(200) {
            text.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
        }
        if let script = text.firstRange(of: " script: ") { text = String(text[..<script.lowerBound]) }
        for echo in [", with args beginning with", "unknown command", "Unknown subcommand"] {
            if let range = text.firstRange(of: echo) { text = String(text[..<range.upperBound]) }
        }
        return text
    }
}

extension RedisErrorReply.Kind {
    /// Whether sending the same command later can succeed without anyone changing the configuration.
    package var isRetryable: Bool {
        switch self {
        case .loading, .readonly, .oom, .misconf, .noreplicas, .busy, .noscript, .execabort, .maxclients, .moved, .ask,
            .tryagain, .clusterdown, .masterdown:
            true
        case .wrongtype, .noauth, .wrongpass, .noperm, .crossslot, .other: false
        }
    }

    /// Whether this connection has no use any more: it leads to the wrong server, or as nobody.
    package var isConnectionFatal: Bool {
        switch self {
        case .readonly, .masterdown, .noauth, .maxclients: true
        case .loading, .oom, .misconf, .noreplicas, .busy, .noscript, .execabort, .wrongtype, .wrongpass, .noperm,
            .moved, .ask, .tryagain, .crossslot, .clusterdown, .other:
            false
        }
    }

    /// Whether the server is reachable but takes no writes for now: pause them, reads go on.
    package var refusesWrites: Bool {
        switch self {
        case .readonly, .oom, .misconf, .noreplicas: true
        case .loading, .busy, .noscript, .execabort, .wrongtype, .noauth, .wrongpass, .noperm, .maxclients, .moved,
            .ask, .tryagain, .crossslot, .clusterdown, .masterdown, .other:
            false
        }
    }

    /// Whether an operator must act: asking again soon only fills logs and locks accounts.
    package var isMisconfiguration: Bool {
        switch self {
        case .noauth, .wrongpass, .noperm, .crossslot: true
        case .loading, .readonly, .oom, .misconf, .noreplicas, .busy, .noscript, .execabort, .wrongtype, .maxclients,
            .moved, .ask, .tryagain, .clusterdown, .masterdown, .other:
            false
        }
    }
}
