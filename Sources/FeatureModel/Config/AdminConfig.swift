/// The admin listener of the serving daemon.
package struct AdminConfig: Hashable, Sendable {
    /// Where it listens; `nil` for nowhere. Port 0 takes a free one.
    package let http: NetworkAddress?
    /// Names beside IP addresses and `localhost` that a request may be addressed to.
    package let hosts: [String]
    /// Who may do what. Without any the listener refuses everything.
    package let tokens: [TokenConfig]
    /// The file of the audit log; `nil` for none.
    package let audit: String?
    /// The file of idempotency keys; `nil` keeps them in memory alone.
    package let state: String?
    /// How often a token may read, a minute.
    package let readsPerMinute: Int
    /// How often a token may change something, a minute.
    package let changesPerMinute: Int
    /// How often a peer may come with a wrong token, a minute.
    package let failuresPerMinute: Int
    /// How it is encrypted; `nil` for not at all.
    package let tls: ListenerTLSConfig?

    /// A listener that nobody may use.
    package static let closed = AdminConfig(
        http: address, hosts: [], tokens: [], audit: nil, state: nil, readsPerMinute: 600, changesPerMinute: 60,
        failuresPerMinute: 10, tls: nil)
    /// Where it listens unless the config says otherwise.
    package static let address = NetworkAddress(host: "127.0.0.1", port: 6567)
}

/// A bearer token, known by its hash.
package struct TokenConfig: Hashable, Sendable {
    /// Names whoever holds the token, in logs and audit.
    package let name: String
    package let sha256: TokenHash
    package let scopes: Set<AdminScope>
}

/// What a token may do. Each includes the one before.
package enum AdminScope: String, CaseIterable, Sendable, Comparable {
    /// Look at state.
    case read
    /// Change what an operator changes in the ordinary run of things, and can change back.
    case operate
    /// Everything: watermarks, config, audit log.
    case admin

    package static func < (left: AdminScope, right: AdminScope) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .read: 0
        case .operate: 1
        case .admin: 2
        }
    }
}

/// The SHA-256 of a token in 64 hex digits: where it is kept, or itself.
package enum TokenHash: Hashable, Sendable {
    case kept(Secret)
    /// 64 digits of lower case.
    case digits(String)

    /// Parses `env:NAME`, `file:PATH` or 64 hex digits; `nil` for anything else.
    package init?(spelling: String) {
        if let secret = Secret(spelling: spelling) {
            self = .kept(secret)
        } else if Self.isHash(spelling) {
            self = .digits(spelling.lowercased())
        } else {
            return nil
        }
    }

    /// Whether a text is 64 hex digits.
    package static func isHash(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy {
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
                    || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "F") ~= $0
            }
    }
}

extension TokenHash: CustomStringConvertible, CustomReflectable {
    /// Where the hash is kept; never the hash.
    package var description: String {
        switch self {
        case .kept(let secret): secret.description
        case .digits: DocumentValue.hidden
        }
    }

    /// Shows nothing: what holds secrets is not reflected.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension AdminConfig {
    /// Reads the section, which has its shape already.
    init(_ node: YAMLNode, into diagnostics: inout Diagnostics) {
        let rate = node["rate"]
        http = NetworkAddress(spelling: node["http"]?.text ?? "\(Self.address)")
        hosts = (node["hosts"]?.texts ?? []).map { $0.lowercased() }
        tokens = (node["tokens"]?.elements ?? []).compactMap { Self.token($0) }
        let audit = node["audit"]?.text ?? "admin-audit.jsonl"
        self.audit = audit == "off" ? nil : audit
        let state = node["state"]?.text ?? "admin-state.db"
        self.state = state == "off" ? nil : state
        readsPerMinute = rate?["reads"]?.integer.map(Int.init) ?? 600
        changesPerMinute = rate?["changes"]?.integer.map(Int.init) ?? 60
        failuresPerMinute = rate?["failures"]?.integer.map(Int.init) ?? 10
        tls = node["tls"].flatMap { ListenerTLSConfig($0) }
        Self.checkNames(node["tokens"]?.elements ?? [], of: "admin.tokens", into: &diagnostics)
    }

    private static func token(_ node: YAMLNode) -> TokenConfig? {
        guard let name = node["name"]?.text, let hash = node["sha256"]?.text.flatMap(TokenHash.init(spelling:)) else {
            return nil
        }
        let scopes = (node["scopes"]?.texts ?? []).compactMap(AdminScope.init(rawValue:))
        return TokenConfig(name: name, sha256: hash, scopes: Set(scopes))
    }

    /// Names tell tokens apart in logs and the audit log, so each is used once.
    static func checkNames(_ tokens: [YAMLNode], of path: String, into diagnostics: inout Diagnostics) {
        var seen: Set<String> = []
        for (index, token) in tokens.enumerated() {
            guard let name = token["name"], let text = name.text, !seen.insert(text).inserted else { continue }
            diagnostics.report(
                name.place, "\(path)[\(index)].name", found: "\(Text.quoted(text)) a second time",
                expected: "a name of its own for each token")
        }
    }
}

/// The declaration of `admin:`.
enum AdminShape {
    static let admin = ObjectShape(
        name: "admin",
        summary:
            "The admin listener of the serving daemon. There is one where this section is; without tokens it answers everything with 401.",
        fields: [
            Field("http", .text(listen), "Where it listens; off for nowhere.", default: "127.0.0.1:6567"),
            Field(
                "hosts", .list(.text(host), count: 0...64),
                "Names that requests may be addressed to, beside IP addresses and localhost."),
            Field("tokens", .list(.object(token), count: 0...64), "Who may do what, by bearer token."),
            Field(
                "audit", .text(path), "The file that every change is appended to, a JSON object a line; off for none.",
                default: "admin-audit.jsonl"),
            Field(
                "state", .text(path),
                "The file of idempotency keys and their answers, so that they outlive the daemon; off for none.",
                default: "admin-state.db"),
            Field("rate", .object(rate), "How many requests a minute."),
            Field("tls", .object(ListenerTLSShape.tls), "Encrypts the listener, TLS 1.2 and later."),
        ])

    static let token = ObjectShape(
        name: "token", summary: "A bearer token, known by its hash. `tidemark admin token` makes one.",
        fields: [
            Field("name", .text(name), "Names whoever holds it, in logs and the audit log.", required: true),
            Field(
                "sha256", .text(hash),
                "The SHA-256 of the token in 64 hex digits, or where it is kept: env:NAME or file:PATH.", required: true
            ),
            Field(
                "scopes", .list(.word(AdminScope.allCases.map(\.rawValue)), count: 1...3),
                "What it may do; operate includes read, admin includes both.", required: true),
        ])

    static let rate = ObjectShape(
        name: "rate", summary: "How many requests a minute; all of them may come at once.",
        fields: [
            Field("reads", .integer(1...1_000_000), "Requests of a token that read.", default: "600"),
            Field("changes", .integer(1...1_000_000), "Requests of a token that change something.", default: "60"),
            Field(
                "failures", .integer(1...10_000), "Requests of a peer with a wrong token, before it gets 429.",
                default: "10"),
        ])

    private static let path = TextRule(
        expected: "a path, or off", maximumLength: 4_096, isValid: { !$0.unicodeScalars.contains("\n") })

    static let name = TextRule(
        expected: "1 to 64 of letters, digits, _, - and .", maximumLength: 64,
        characters: ("A-Za-z0-9_.-", "A-Za-z0-9_.-"))

    private static let host = TextRule(
        expected: "a host's name without a port", maximumLength: 253, characters: ("A-Za-z0-9_.-", "A-Za-z0-9_.-"))

    static let hash = TextRule(
        expected: "env:NAME, file:PATH or 64 hex digits", maximumLength: 4_096,
        pattern: "^(env:[A-Za-z_][A-Za-z0-9_]{0,255}|file:.+|[0-9A-Fa-f]{64})$",
        isValid: { TokenHash(spelling: $0) != nil }, isShown: false)

    private static let listen = TextRule(
        expected: "an address such as 127.0.0.1:6567 or [::1]:6567 with a port up to 65535, or off",
        maximumLength: 262, pattern: "^(off|.+:[0-9]{1,5})$",
        isValid: { $0 == "off" || NetworkAddress(spelling: $0) != nil })
}
