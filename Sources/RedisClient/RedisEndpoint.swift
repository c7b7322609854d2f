/// One Redis server: where it is, and as whom to talk to it. Its description never shows the password.
package struct RedisEndpoint: Hashable, Sendable {
    /// Where the server listens.
    package enum Address: Hashable, Sendable {
        case host(String, port: Int)
        case unixSocket(path: String)
    }

    /// How the connection is encrypted.
    package struct TLS: Hashable, Sendable {
        /// PEM file of the authorities to trust; the system's where `nil`.
        package var caFile: String?
        /// Whether the certificate must be valid and name the host. Switching it off invites anyone in between.
        package var verifies = true

        package init(caFile: String? = nil, verifies: Bool = true) {
            self.caFile = caFile
            self.verifies = verifies
        }
    }

    /// Where the server listens.
    package var address: Address
    /// `nil` for plain text.
    package var tls: TLS?
    /// `nil` for the default user.
    package var user: String?
    /// `nil` for no login. Never described.
    package var password: String?
    /// The number of the database, from 0.
    package var database: Int

    package init(
        address: Address, tls: TLS? = nil, user: String? = nil, password: String? = nil, database: Int = 0
    ) {
        self.address = address
        self.tls = tls
        self.user = user
        self.password = password
        self.database = database
    }

    /// Whether bytes between here and the server stay on this machine.
    package var isLocal: Bool {
        switch address {
        case .unixSocket: true
        case .host(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
        }
    }
}

extension RedisEndpoint: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String {
        switch address {
        case .unixSocket(let path): "redis+unix://\(path)?db=\(database)"
        case .host(let host, let port):
            "\(tls == nil ? "redis" : "rediss")://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
        }
    }

    package var debugDescription: String { description }
}

/// Which servers make up the store, and which of them to write to: the one place that knows of more than one.
package struct RedisTopology: Hashable, Sendable {
    /// The server that every command goes to.
    private let standalone: RedisEndpoint

    package init(_ endpoint: RedisEndpoint) {
        standalone = endpoint
    }

    /// The server to write to now. Asked before each connection is made.
    package var primary: RedisEndpoint { standalone }
}
