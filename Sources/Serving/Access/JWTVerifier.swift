package import FeatureModel
import JWTKit
import NIOCore
import OnlineStore

/// Checks signed tokens (JWT, RFC 7519) of one issuer. Its keys are what they were when it was made.
package struct JWTVerifier: Sendable {
    private struct Key: Sendable {
        /// `nil` where the file names none.
        let id: String?
        let algorithm: any JWTAlgorithm
    }

    /// The most keys of a set.
    private static let keyLimit = 100

    private let config: JWTConfig
    private let keys: [Key]

    /// `text` is what the file `config.keys` holds. Throws `AccessKeyError` for what isn't public keys that fit the algorithms.
    package init(_ config: JWTConfig, text: [UInt8]) async throws {
        self.config = config
        let isPEM = text.starts(with: "-----BEGIN".utf8)
        keys = try await isPEM ? Self.pem(text, config) : Self.set(text, config)
    }

    /// What a token grants. `now` is in seconds since 1970.
    func grant(
        _ token: ArraySlice<UInt8>, project: String, now: Int64, at instant: NIODeadline
    ) throws(AccessRefusal) -> AccessGrant {
        let parts = token.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, case .mapping(let header)? = Self.document(parts[0]), header["crit"] == nil,
            case .text(let algorithm)? = header["alg"], let signature = Self.base64URL(parts[2])
        else { throw .invalid }
        let signed = token[parts[0].startIndex..<parts[1].endIndex]
        guard isSigned(signed, by: signature, algorithm, key: header["kid"]),
            case .mapping(let claims)? = Self.document(parts[1])
        else { throw .invalid }
        let end = try check(claims, now: now)
        // Beyond a year a monotonic clock's arithmetic has nothing to gain.
        let left = min(max(0, end - now), 366 * 86_400)
        return AccessGrant(
            name: Self.name(claims), scopes: scopes(claims), isOfProject: isOf(project, claims),
            expiresAt: instant + .seconds(left))
    }

    private func isSigned(
        _ signed: ArraySlice<UInt8>, by signature: [UInt8], _ algorithm: String, key id: DocumentValue?
    ) -> Bool {
        guard config.algorithms.contains(algorithm) else { return false }
        var tried = 0
        for key in keys where key.algorithm.name == algorithm {
            if case .text(let id)? = id, let known = key.id, known != id { continue }
            // A token without a key's name is not worth a hundred signatures.
            tried += 1
            guard tried <= 4 else { return false }
            if (try? key.algorithm.verify(signature, signs: signed)) == true { return true }
        }
        return false
    }

    /// The end of the token with the leeway, in seconds since 1970.
    private func check(_ claims: [String: DocumentValue], now: Int64) throws(AccessRefusal) -> Int64 {
        let leeway = config.leeway.components.seconds
        guard let expiry = Self.seconds(claims["exp"]), claims["iss"] == .text(config.issuer),
            Self.texts(claims["aud"], splitting: false).contains(config.audience)
        else { throw .invalid }
        if let start = claims["nbf"] {
            guard let start = Self.seconds(start), start - leeway <= now else { throw .invalid }
        }
        guard now < expiry + leeway else { throw .expired }
        return expiry + leeway
    }

    private func scopes(_ claims: [String: DocumentValue]) -> Set<AccessScope> {
        let words = Self.texts(claims[config.scopeClaim], splitting: true)
        return Set(AccessScope.allCases.filter { words.contains(config.scopePrefix + $0.rawValue) })
    }

    private func isOf(_ project: String, _ claims: [String: DocumentValue]) -> Bool {
        guard let claim = config.projectClaim else { return true }
        return Self.texts(claims[claim], splitting: true).contains(project)
    }

    // MARK: Parts

    private static func name(_ claims: [String: DocumentValue]) -> String {
        guard case .text(let subject)? = claims["sub"] else { return "jwt" }
        return String(subject.prefix(64))
    }

    /// A point in time, in whole seconds; bounded, so that no sum with it overflows.
    private static func seconds(_ value: DocumentValue?) -> Int64? {
        switch value {
        case .integer(let seconds)? where seconds.magnitude < 1 << 40: seconds
        case .number(let seconds)? where seconds.magnitude < 1e12: Int64(seconds)
        default: nil
        }
    }

    private static func texts(_ value: DocumentValue?, splitting: Bool) -> [String] {
        switch value {
        case .text(let text)?: splitting ? text.split(separator: " ").map(String.init) : [text]
        case .list(let elements)?:
            elements.compactMap { if case .text(let text) = $0 { text } else { nil } }
        default: []
        }
    }

    private static func document(_ part: ArraySlice<UInt8>) -> DocumentValue? {
        base64URL(part).flatMap { AdminJSON.decode($0) }
    }

    /// Base64 for URLs without padding (RFC 7515).
    private static func base64URL(_ part: ArraySlice<UInt8>) -> [UInt8]? {
        var text: [UInt8] = []
        for byte in part {
            switch byte {
            case UInt8(ascii: "-"): text.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): text.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: text.append(byte)
            }
        }
        while !text.count.isMultiple(of: 4) { text.append(UInt8(ascii: "=")) }
        return Base64.decode(text[...])
    }
}

/// The keys of `serve.jwt` can't be used. Names the file and what is wrong with it.
package struct AccessKeyError: Error, CustomStringConvertible {
    package let description: String

    fileprivate init(_ config: JWTConfig, _ reason: String) {
        description = "serve.jwt, keys, \(config.keys): \(reason)"
    }
}

extension JWTVerifier {
    /// Keys of a JWK set (RFC 7517). Those for other purposes are passed over; one has to be left.
    private static func set(_ text: [UInt8], _ config: JWTConfig) async throws -> [Key] {
        guard case .mapping(let members)? = AdminJSON.decode(text), case .list(let list)? = members["keys"] else {
            throw AccessKeyError(config, "it is neither a JWK set nor a public key in PEM")
        }
        guard list.count <= keyLimit else { throw AccessKeyError(config, "it has more than \(keyLimit) keys") }
        var keys: [Key] = []
        for case .mapping(let members) in list {
            guard members["d"] == nil, members["k"] == nil else {
                throw AccessKeyError(config, "it has a private or secret key in it; only public ones belong there")
            }
            guard members["use"] == nil || members["use"] == .text("sig") else { continue }
            keys += try await self.keys(members, config)
        }
        guard !keys.isEmpty else { throw AccessKeyError(config, "no key in it fits serve.jwt.algorithms") }
        return keys
    }

    private static func keys(_ members: [String: DocumentValue], _ config: JWTConfig) async throws -> [Key] {
        let json = String(decoding: AdminJSON.encode(.mapping(members)), as: UTF8.self)
        guard var jwk = try? JWK(json: json) else { return [] }
        let id = jwk.keyIdentifier?.string
        jwk.keyIdentifier = "key"
        var keys: [Key] = []
        for name in config.algorithms {
            // A key keeps the first algorithm it was asked for, so each has a collection of its own.
            let collection = JWTKeyCollection()
            do {
                try await collection.add(jwk: jwk)
            } catch {
                throw AccessKeyError(config, "the key \(id ?? "without kid") is damaged")
            }
            guard let algorithm = try? await collection.getKey(for: "key", alg: name), algorithm.name == name else {
                continue
            }
            keys.append(Key(id: id, algorithm: algorithm))
        }
        return keys
    }

    /// The one key of a PEM text.
    private static func pem(_ text: [UInt8], _ config: JWTConfig) async throws -> [Key] {
        let pem = String(decoding: text, as: UTF8.self)
        guard !pem.contains("PRIVATE KEY") else {
            throw AccessKeyError(config, "it is a private key; only the public one belongs there")
        }
        let collection = JWTKeyCollection()
        var keys: [Key] = []
        for name in config.algorithms {
            guard await add(pem, for: name, to: collection),
                let algorithm = try? await collection.getKey(for: JWKIdentifier(string: name), alg: name)
            else { continue }
            keys.append(Key(id: nil, algorithm: algorithm))
        }
        guard !keys.isEmpty else {
            throw AccessKeyError(config, "it is no public key in PEM that fits serve.jwt.algorithms")
        }
        return keys
    }

    private static func add(_ pem: String, for name: String, to collection: JWTKeyCollection) async -> Bool {
        let id = JWKIdentifier(string: name)
        do {
            switch name {
            case "ES256": await collection.add(ecdsa: try ES256PublicKey(pem: pem), kid: id)
            case "ES384": await collection.add(ecdsa: try ES384PublicKey(pem: pem), kid: id)
            case "ES512": await collection.add(ecdsa: try ES512PublicKey(pem: pem), kid: id)
            case "EdDSA": await collection.add(eddsa: try EdDSA.PublicKey(pem: pem), kid: id)
            default:
                let key = try Insecure.RSA.PublicKey(pem: pem)
                let digest: DigestAlgorithm =
                    name.hasSuffix("256") ? .sha256 : name.hasSuffix("384") ? .sha384 : .sha512
                if name.hasPrefix("PS") {
                    await collection.add(pss: key, digestAlgorithm: digest, kid: id)
                } else {
                    await collection.add(rsa: key, digestAlgorithm: digest, kid: id)
                }
            }
            return true
        } catch {
            return false
        }
    }
}
