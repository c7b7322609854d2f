package import RedisClient

extension StoreError {
    /// What an error of the shared connections means for the store's caller.
    package init(_ error: RedisError) {
        switch error.code {
        case .connectionFailed, .connectionClosed, .overloaded, .clientClosed:
            self.init(.unavailable, error.message, detail: error.detail)
        case .deadlineExceeded, .cancelled:
            self.init(.deadlineExceeded, error.message, detail: error.detail)
        case .malformedReply:
            self.init(.corrupt, error.message, detail: error.detail)
        case .replyTooLarge, .requestTooLarge:
            self.init(.tooLarge, error.message, detail: error.detail)
        case .invalidConfiguration:
            self.init(.misconfigured, error.message, detail: error.detail)
        case .errorReply(let kind):
            self.init(Self.code(of: kind), Self.message(of: kind), detail: error.detail)
        }
    }

    /// The same for a session, which ends with its connection.
    init(inSession error: RedisError) {
        switch error.code {
        case .connectionFailed, .connectionClosed, .clientClosed, .malformedReply:
            self.init(.sessionLost, "the session's connection ended", detail: error.description)
        case .overloaded, .deadlineExceeded, .cancelled, .replyTooLarge, .requestTooLarge, .invalidConfiguration,
            .errorReply:
            self.init(error)
        }
    }

    private static func code(of kind: RedisErrorReply.Kind) -> Code {
        switch kind {
        case .readonly, .oom, .misconf, .noreplicas: .writesRefused
        case .loading, .busy, .noscript, .execabort, .maxclients, .tryagain, .clusterdown, .masterdown: .unavailable
        case .wrongtype: .corrupt
        case .noauth, .wrongpass, .noperm, .crossslot, .moved, .ask, .other: .misconfigured
        }
    }

    private static func message(of kind: RedisErrorReply.Kind) -> StaticString {
        switch kind {
        case .loading: "Redis is loading its data"
        case .readonly: "Redis is a replica and takes no writes"
        case .oom: "Redis is out of memory: raise maxmemory or shorten TTLs"
        case .misconf: "Redis cannot persist and refuses writes: look at its log and disk"
        case .noreplicas: "Redis has too few replicas and refuses writes"
        case .busy: "Redis is busy with a script"
        case .noscript, .execabort: "Redis did not run a script"
        case .maxclients: "Redis has as many clients as it may"
        case .tryagain, .clusterdown: "the Redis cluster cannot answer"
        case .masterdown: "the Redis replica has lost its master"
        case .wrongtype: "a key holds something else than Tidemark put there"
        case .noauth, .wrongpass: "Redis refuses user and password"
        case .noperm: "the Redis user lacks a permission: `tidemark doctor` lists what is needed"
        case .crossslot, .moved, .ask: "this Redis is part of a cluster, which is not supported"
        case .other: "Redis refused a command"
        }
    }
}
