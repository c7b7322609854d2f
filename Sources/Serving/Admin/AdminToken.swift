import Crypto
package import FeatureModel

/// Bearer tokens of the admin listener: how they are made, and the hash they are known by.
package enum AdminToken {
    /// The longest token that is looked at, in bytes.
    static let maximumBytes = 512
    /// How a new token begins, so that people and scanners of leaked secrets know it.
    private static let prefix = "tmk_"

    /// A new token of 256 random bits.
    package static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return prefix + hex((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// The token of an `Authorization` field: `Bearer`, blanks, and printable ASCII without blanks; at most `longest`
    /// bytes of it.
    static func bearer(_ field: [UInt8], longest: Int = .max) -> [UInt8]? {
        let scheme = field.prefix { $0 != UInt8(ascii: " ") }
        guard scheme.map({ $0 | 0x20 }) == Array("bearer".utf8) else { return nil }
        let token = Array(field.dropFirst(scheme.count).drop { $0 == UInt8(ascii: " ") })
        return (1...longest).contains(token.count) && token.allSatisfy { (0x21...0x7e).contains($0) } ? token : nil
    }

    /// The SHA-256 of a token in hex, as the config wants it.
    package static func sha256(_ token: String) -> String {
        hex(digest(of: Array(token.utf8)))
    }

    static func digest(of bytes: [UInt8]) -> [UInt8] {
        Array(SHA256.hash(data: bytes))
    }

    /// The hash that the config means. What `resolve` throws is thrown, and `AdminSettingsError` where a secret is no hash.
    static func digest(
        of hash: TokenHash, place: String, resolve: (Secret, String) throws -> String
    ) throws -> [UInt8] {
        let text =
            switch hash {
            case .digits(let digits): digits
            case .kept(let secret): try resolve(secret, place)
            }
        guard let digest = bytes(hex: text) else {
            throw AdminSettingsError(description: "\(place): \(hash) holds no SHA-256 of 64 hex digits")
        }
        return digest
    }

    /// The bytes of 64 hex digits; `nil` for anything else.
    static func bytes(hex text: String) -> [UInt8]? {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard text.utf8.count == 64, digits.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [digit($0 >> 4), digit($0 & 15)] }, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}

/// Whoever holds a token.
package struct Principal: Hashable, Sendable {
    package let name: String
    /// The widest of the token's scopes.
    package let scope: AdminScope
}

/// The tokens that are accepted, by their hashes. Compared so that time tells nothing of them.
package struct TokenTable: Sendable {
    private let principals: [Principal]
    private let digests: [[UInt8]]

    package init() {
        principals = []
        digests = []
    }

    init(_ tokens: [(principal: Principal, digest: [UInt8])]) {
        principals = tokens.map(\.principal)
        digests = tokens.map(\.digest)
    }

    var isEmpty: Bool { principals.isEmpty }

    /// Who holds the token with this SHA-256, if anyone.
    func principal(_ digest: [UInt8]) -> Principal? {
        Self.position(of: digest, in: digests).map { principals[$0] }
    }

    /// The place of the candidate that equals `digest`. Reads every byte of every candidate, whatever it finds.
    package static func position<Candidates: Sequence>(of digest: [UInt8], in candidates: Candidates) -> Int?
    where Candidates.Element: Sequence, Candidates.Element.Element == UInt8 {
        var found = -1
        for (place, candidate) in candidates.enumerated() {
            var difference: UInt32 = 0
            var length = 0
            for byte in candidate {
                difference |= UInt32(byte ^ digest[length % max(digest.count, 1)])
                length += 1
            }
            difference |= UInt32(truncatingIfNeeded: length ^ digest.count)
            // 1 where nothing differs, without a branch.
            let isEqual = Int((UInt64(difference) &- 1) >> 63)
            found = isEqual &* place &+ (1 &- isEqual) &* found
        }
        return found < 0 ? nil : found
    }
}

extension TokenTable: CustomStringConvertible, CustomReflectable {
    /// Names, and nothing of the hashes.
    package var description: String { principals.map(\.name).joined(separator: ", ") }
    /// Shows who there is, without hashes.
    package var customMirror: Mirror { Mirror(self, children: ["principals": principals]) }
}
