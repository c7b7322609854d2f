package import FeatureModel
import Glibc
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

    /// Whom an `Authorization` field lets in. Costs a hash or a signature; `AccessCache` remembers.
    func grant(_ field: [UInt8], at now: NIODeadline) throws(AccessRefusal) -> AccessGrant {
        guard let token = Self.token(field) else { throw .invalid }
        if let position = TokenTable.position(of: AdminToken.digest(of: token), in: digests) { return grants[position] }
        guard let jwt else { throw .invalid }
        return try jwt.grant(token[...], project: project, now: Self.seconds(), at: now)
    }

    /// The token of an `Authorization` field: `Bearer`, blanks, and printable ASCII without blanks.
    private static func token(_ field: [UInt8]) -> [UInt8]? {
        let scheme = field.prefix { $0 != UInt8(ascii: " ") }
        guard field.count <= maximumBytes, scheme.map({ $0 | 0x20 }) == Array("bearer".utf8) else { return nil }
        let token = Array(field.dropFirst(scheme.count).drop { $0 == UInt8(ascii: " ") })
        guard !token.isEmpty, token.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        return token
    }

    /// Seconds since 1970.
    private static func seconds() -> Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }
}

extension AccessPolicy: CustomStringConvertible, CustomReflectable {
    /// Names, and nothing of hashes and keys.
    package var description: String { grants.map(\.name).joined(separator: ", ") }
    /// Shows who there is.
    package var customMirror: Mirror { Mirror(self, children: ["names": description]) }
}
