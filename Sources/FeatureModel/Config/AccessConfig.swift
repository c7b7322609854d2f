/// Who may ask the serving daemon for what. Where neither tokens nor JWT are spoken of everybody may.
package struct AccessConfig: Hashable, Sendable {
    /// An empty list lets nobody in, as whoever takes the last token back wants it; `nil` where there is no list.
    package let tokens: [AccessTokenConfig]?
    /// Tokens that somebody else issues; `nil` for none.
    package let jwt: JWTConfig?

    /// Everybody may do everything.
    package static let open = AccessConfig(tokens: nil, jwt: nil)

    /// Whether everybody may do everything.
    package var isOpen: Bool { tokens == nil && jwt == nil }
}

/// What a token of the serving daemon may do. None includes another.
package enum AccessScope: String, CaseIterable, Sendable {
    /// Look features up.
    case read
    /// Push rows and ask for runs.
    case write
}

/// A bearer token of the serving daemon, known by its hash.
package struct AccessTokenConfig: Hashable, Sendable {
    /// Names whoever holds the token.
    package let name: String
    package let sha256: TokenHash
    package let scopes: Set<AccessScope>
    /// The projects that it is for; `nil` for all.
    package let projects: [String]?
}

/// How signed tokens (JWT, RFC 7519) of an issuer are checked.
package struct JWTConfig: Hashable, Sendable {
    /// A file of the issuer's public keys: a JWK set, or one key in PEM.
    package let keys: String
    package let issuer: String
    package let audience: String
    /// Names of RFC 7518; others are refused, whatever a key is good for.
    package let algorithms: [String]
    /// The claim that lists scopes, as a text with blanks between or a list.
    package let scopeClaim: String
    /// What stands before `read` and `write` in that claim.
    package let scopePrefix: String
    /// The claim that names the projects a token is for; `nil` where it is for all.
    package let projectClaim: String?
    /// How far the issuer's clock may be from ours.
    package let leeway: Duration

    /// The algorithms that can be checked. All of them are signatures: what has only a secret is not among them.
    package static let knownAlgorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ]
}

extension AccessConfig {
    /// Reads it out of `serve:`, which has its shape already.
    init(_ serve: YAMLNode?) {
        tokens = serve?["tokens"].map { $0.elements.compactMap { Self.token($0) } }
        jwt = serve?["jwt"].flatMap { Self.jwt($0) }
    }

    private static func token(_ node: YAMLNode) -> AccessTokenConfig? {
        guard let name = node["name"]?.text, let hash = node["sha256"]?.text.flatMap(TokenHash.init(spelling:)) else {
            return nil
        }
        let scopes = (node["scopes"]?.texts ?? []).compactMap(AccessScope.init(rawValue:))
        return AccessTokenConfig(name: name, sha256: hash, scopes: Set(scopes), projects: node["projects"]?.texts)
    }

    private static func jwt(_ node: YAMLNode) -> JWTConfig? {
        guard let keys = node["keys"]?.text, let issuer = node["issuer"]?.text, let audience = node["audience"]?.text
        else { return nil }
        return JWTConfig(
            keys: keys, issuer: issuer, audience: audience,
            algorithms: node["algorithms"]?.texts ?? ["RS256", "ES256", "EdDSA"],
            scopeClaim: node["scope_claim"]?.text ?? "scope", scopePrefix: node["scope_prefix"]?.text ?? "",
            projectClaim: node["project_claim"]?.text, leeway: node["leeway"]?.duration ?? .seconds(30))
    }
}

/// The declaration of `tokens:` and `jwt:` of the serving daemon.
enum AccessShape {
    static let token = ObjectShape(
        name: "serve_token", summary: "A bearer token of the serving daemon, known by its hash.",
        fields: [
            Field("name", .text(AdminShape.name), "Names whoever holds it.", required: true),
            Field(
                "sha256", .text(AdminShape.hash),
                "The SHA-256 of the token in 64 hex digits, or where it is kept: env:NAME or file:PATH.", required: true
            ),
            Field(
                "scopes", .list(.word(AccessScope.allCases.map(\.rawValue)), count: 1...2),
                "What it may do: read looks features up, write pushes rows and asks for runs. Neither includes the other.",
                required: true),
            Field(
                "projects", .list(.text(.key), count: 1...64), "The projects it is for; on others it is refused.",
                default: "all"),
        ])

    static let jwt = ObjectShape(
        name: "jwt", summary: "Takes signed tokens (JWT) of an issuer; they must have exp.",
        fields: [
            Field(
                "keys", .text(ConfigShape.path), "A file of the issuer's public keys: a JWK set, or one key in PEM.",
                required: true),
            Field("issuer", .text(claim), "What iss must be.", required: true),
            Field("audience", .text(claim), "What aud must be, or list.", required: true),
            Field(
                "algorithms", .list(.word(JWTConfig.knownAlgorithms), count: 1...10),
                "The only algorithms that are taken.", default: "[RS256, ES256, EdDSA]"),
            Field(
                "scope_claim", .text(claim), "The claim that lists scopes, with blanks between or as a list.",
                default: "scope"),
            Field("scope_prefix", .text(claim), "What stands before read and write in that claim.", default: "nothing"),
            Field(
                "project_claim", .text(claim), "The claim that names the projects a token is for.",
                default: "tokens are for all projects"),
            Field(
                "leeway", .duration(.zero...(.minutes(10))), "How far the issuer's clock may be from ours.",
                default: "30s"),
        ])

    private static let claim = TextRule(
        expected: "a text of at most 1024 characters", maximumLength: 1_024,
        isValid: { !$0.unicodeScalars.contains("\n") })
}
