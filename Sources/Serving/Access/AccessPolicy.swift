package import FeatureModel
import NIOCore

/// Which tokens are accepted: an immutable whole, with every hash and key resolved.
package final class AccessPolicy: Sendable {
    /// The longest `Authorization` field that is looked at, in bytes.
    static let maximumBytes = 8_192

    private let digests: [[UInt8]]
    private let grants: [AccessGrant]
    private let jwt: JWTVerifier?
    private let project: String

    /// `project` is what this daemon serves. `resolve` gives the text of a secret, by where it is kept and what it is for; what it
    /// throws is thrown, and `AdminSettingsError` where a secret is no hash.
    package init(
        _ config: AccessConfig, project: String, jwt: JWTVerifier?, resolve: (Secret, String) throws -> String
    ) throws {
        self.project = project
        self.jwt = jwt
        var digests: [[UInt8]] = []
        var grants: [AccessGrant] = []
        for token in config.tokens ?? [] {
            let place = "serve.tokens, \(token.name), sha256"
            digests.append(try AdminToken.digest(of: token.sha256, place: place, resolve: resolve))
            grants.append(
                AccessGrant(
                    name: token.name, scopes: token.scopes, isOfProject: token.projects?.contains(project) ?? true,
                    expiresAt: nil))
        }
        self.digests = digests
        self.grants = grants
    }

    /// Whom an `Authorization` field with a token of the config lets in; `nil` where it is none of those. Costs a hash.
    func known(_ field: [UInt8]) throws(AccessRefusal) -> AccessGrant? {
        guard let token = Self.token(field) else { throw .invalid }
        return TokenTable.position(of: AdminToken.digest(of: token), in: digests).map { grants[$0] }
    }

    /// Whom one with a signed token lets in. Costs a signature or more; `AccessCache` remembers.
    func signed(_ field: [UInt8], at now: NIODeadline) throws(AccessRefusal) -> AccessGrant {
        guard let jwt, let token = Self.token(field) else { throw .invalid }
        return try jwt.grant(token[...], project: project, now: WallClock.microseconds / 1_000_000, at: now)
    }

    private static func token(_ field: [UInt8]) -> [UInt8]? {
        field.count <= maximumBytes ? AdminToken.bearer(field) : nil
    }
}

extension AccessPolicy: CustomStringConvertible, CustomReflectable {
    /// Names, and nothing of hashes and keys.
    package var description: String { grants.map(\.name).joined(separator: ", ") }
    /// Shows who there is.
    package var customMirror: Mirror { Mirror(self, children: ["names": description]) }
}
