/// Where the online store is. Never holds a password.
package struct StoreURL: Hashable, Sendable {
    /// The kind of store. This release refuses Sentinel and Cluster when a config is read.
    package enum Scheme: String, CaseIterable, Sendable {
        case redis
        /// Redis over TLS.
        case rediss
        /// Redis over a Unix socket.
        case redisUnix = "redis+unix"
        case redisSentinel = "redis+sentinel"
        case redisCluster = "redis+cluster"
        case sqlite
        case memory
    }

    package let scheme: Scheme
    /// The URL as written.
    package let text: String
    /// The file of `sqlite` or the socket of `redis+unix`; empty for the others.
    package let path: String

    static let expected =
        "a store URL: redis://HOST:PORT/DB, rediss://HOST:PORT/DB, redis+unix:///PATH?db=0, "
        + "sqlite:PATH or memory:"

    /// Parses a URL.
    init(_ text: String) throws(URLProblem) {
        let parts = try URLParts(text, schemes: Scheme.allCases.map(\.rawValue), expected: Self.expected)
        guard let scheme = Scheme(rawValue: parts.scheme) else { throw URLProblem("no scheme", Self.expected) }
        self.scheme = scheme
        self.text = text
        switch scheme {
        case .memory:
            guard parts.rest.isEmpty else { throw URLProblem("something behind memory:", "memory: alone") }
            path = ""
        case .sqlite:
            path = try parts.filePath(example: "sqlite:features.db")
        case .redisUnix:
            path = try parts.socketPath()
        case .redis, .rediss, .redisSentinel, .redisCluster:
            let isMany = scheme == .redisSentinel || scheme == .redisCluster
            try parts.checkHosts(several: isMany)
            if !isMany { try parts.checkDatabase() }
            path = ""
        }
    }
}

/// Where rows come from. Never holds a password.
package struct SourceURL: Hashable, Sendable {
    /// The kind of source; `postgres:` counts as `postgresql:`.
    package enum Scheme: String, CaseIterable, Sendable {
        case sqlite
        case postgresql
        case csv
    }

    package let scheme: Scheme
    /// The URL as written.
    package let text: String
    /// The file of `sqlite` or the folder of `csv`; empty for `postgresql`.
    package let path: String

    static let expected = "a source URL: sqlite:PATH, postgresql://HOST:PORT/DATABASE or csv:DIR"

    /// Parses a URL.
    init(_ text: String) throws(URLProblem) {
        let schemes = Scheme.allCases.map(\.rawValue) + ["postgres"]
        let parts = try URLParts(text, schemes: schemes, expected: Self.expected)
        self.text = text
        switch parts.scheme {
        case "sqlite":
            scheme = .sqlite
            path = try parts.filePath(example: "sqlite:shop.db")
        case "csv":
            scheme = .csv
            path = try parts.filePath(example: "csv:exports")
        default:
            scheme = .postgresql
            path = ""
            try parts.checkHosts(several: true, mayBeEmpty: true)
        }
    }
}

/// What is wrong with a URL. Never shows what may be a password.
struct URLProblem: Error {
    let found: String
    let expected: String
    var suggestion: String?
    var help: String?

    init(_ found: String, _ expected: String, suggestion: String? = nil, help: String? = nil) {
        self.found = found
        self.expected = expected
        self.suggestion = suggestion
        self.help = help
    }
}

/// A URL taken apart as far as config needs it.
private struct URLParts {
    let scheme: String
    /// What stands behind the colon.
    let rest: Substring

    init(_ text: String, schemes: [String], expected: String) throws(URLProblem) {
        guard !text.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else {
            throw URLProblem("a blank in a URL", "none, or %20")
        }
        guard let colon = text.firstIndex(of: ":"),
            text[..<colon].allSatisfy({ $0.isLetter || $0 == "+" || $0.isNumber })
        else { throw URLProblem("text without a scheme", expected) }
        scheme = String(text[..<colon])
        rest = text[text.index(after: colon)...]
        guard schemes.contains(scheme) else {
            let near = Nearest.word(to: scheme, among: schemes)
            throw URLProblem("the scheme \(Text.quoted(scheme))", expected, suggestion: near.map { $0 + ":" })
        }
        try refusePassword()
    }

    private func refusePassword() throws(URLProblem) {
        let problem = URLProblem(
            "a password in the URL", "it apart from the URL",
            help: "write password: env:NAME or password: file:PATH beside url")
        let user = authority.lastIndex(of: "@").map { authority[..<$0] } ?? ""
        if user.contains(":") { throw problem }
        for option in options where ["password", "pass", "sslpassword"].contains(option.name.lowercased()) {
            throw problem
        }
    }

    private var hasAuthority: Bool { rest.hasPrefix("//") }

    /// What stands between `//` and the next `/` or `?`.
    private var authority: Substring {
        guard hasAuthority else { return "" }
        let rest = rest.dropFirst(2)
        // A password may hold "/" or "?": everything up to the last "@" counts as the user's part.
        let start = rest.lastIndex(of: "@") ?? rest.startIndex
        let end = rest[start...].firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        return rest[..<end]
    }

    private var behindAuthority: Substring {
        hasAuthority ? rest.dropFirst(2).dropFirst(authority.count) : rest
    }

    private var options: [(name: String, value: String)] {
        guard let mark = behindAuthority.firstIndex(of: "?") else { return [] }
        return behindAuthority[mark...].dropFirst().split(separator: "&").map { option in
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
        }
    }

    func filePath(example: String) throws(URLProblem) -> String {
        guard !rest.isEmpty else { throw URLProblem("no path", "a path, as in \(example)") }
        guard !hasAuthority else {
            throw URLProblem("// behind \(scheme):", "the path itself, as in \(example)")
        }
        return String(rest)
    }

    func socketPath() throws(URLProblem) -> String {
        let path = behindAuthority.prefix { $0 != "?" }
        guard hasAuthority, authority.isEmpty || authority.hasSuffix("@"), path.hasPrefix("/"),
            (2...107).contains(path.utf8.count)
        else {
            throw URLProblem("no socket", "an absolute path of at most 107 bytes: redis+unix:///run/redis.sock?db=0")
        }
        try checkDatabase()
        return String(path)
    }

    /// Checks `host[:port][,host[:port]…]`.
    func checkHosts(several: Bool, mayBeEmpty: Bool = false) throws(URLProblem) {
        guard hasAuthority else { throw URLProblem("no // behind \(scheme):", "\(scheme)://HOST:PORT") }
        let hosts = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        if hosts.isEmpty, mayBeEmpty { return }
        let list = hosts.split(separator: ",", omittingEmptySubsequences: false)
        guard several || list.count == 1 else { throw URLProblem("several hosts", "one HOST:PORT") }
        for place in list { try check(place) }
    }

    private func check(_ place: Substring) throws(URLProblem) {
        var host = place
        if let colon = place.lastIndex(of: ":"), !place.hasSuffix("]") {
            let port = place[place.index(after: colon)...]
            guard NetworkAddress.port(port, in: 1...65_535) != nil else {
                throw URLProblem("a port that is none", "a number from 1 to 65535")
            }
            host = place[..<colon]
        }
        guard NetworkAddress.host(host) != nil else {
            throw URLProblem("no host, or one that can't be", "a host name or an address, IPv6 in brackets")
        }
    }

    /// Checks the path `/DB`, and the options.
    func checkDatabase() throws(URLProblem) {
        if scheme != "redis+unix" {
            let path = behindAuthority.prefix { $0 != "?" }.dropFirst()
            guard path.isEmpty || Self.isDatabase(String(path)) else {
                throw URLProblem("a database that is none", "a number from 0 to 1000000")
            }
        }
        for option in options {
            switch (option.name, scheme) {
            case ("db", _):
                guard Self.isDatabase(option.value) else {
                    throw URLProblem("a database that is none", "db=0 to db=1000000")
                }
            case ("verify", "rediss"):
                guard option.value == "none" || option.value == "full" else {
                    throw URLProblem("another verify", "verify=full or verify=none")
                }
            default:
                throw URLProblem(
                    "the option \(Text.quoted(option.name))", scheme == "rediss" ? "db or verify" : "db",
                    help: option.name == "ca_file" ? "write ca_file: PATH beside url" : nil)
            }
        }
    }

    private static func isDatabase(_ text: String) -> Bool {
        Literal.integer(text).map { (0...1_000_000).contains($0) } ?? false
    }
}
