package import FeatureModel
package import Resilience

/// What of the admin listener's config can change while it runs, with every hash resolved.
package struct AdminSettings: Sendable {
    package let tokens: TokenTable
    package let reads: Quota
    package let changes: Quota
    package let failures: Quota
    /// Names a request may be addressed to, in lower case.
    package let hosts: Set<String>

    /// Resolves a config. `resolve` gives the text of a secret, by where it is kept and what it is for; what it throws is thrown,
    /// and `AdminSettingsError` where a secret is no hash.
    package init(_ config: AdminConfig, resolve: (Secret, String) throws -> String) throws {
        var known: [(Principal, [UInt8])] = []
        for token in config.tokens {
            let place = "admin.tokens, \(token.name), sha256"
            let digest = try AdminToken.digest(of: token.sha256, place: place, resolve: resolve)
            known.append((Principal(name: token.name, scope: token.scopes.max() ?? .read), digest))
        }
        tokens = TokenTable(known.map { (principal: $0.0, digest: $0.1) })
        reads = Quota(config.readsPerMinute, per: .seconds(60))
        changes = Quota(config.changesPerMinute, per: .seconds(60))
        failures = Quota(config.failuresPerMinute, per: .seconds(60))
        hosts = Set(config.hosts)
    }
}

/// A token's hash can't be used. Says where it is kept, not what.
package struct AdminSettingsError: Error, CustomStringConvertible {
    package let description: String
}
