internal import FeatureModel

/// Every key of a project that isn't a row. `!` keeps them apart from row keys, whose prefix goes on with `{`.
///
/// None has a TTL but the lease: under an eviction policy of `volatile-*` or `noeviction` they stay.
/// `schemas/redis-control-keys.md` has the list.
struct ControlKeys: Sendable {
    /// Hash: lease name → its newest token. Outlives the leases.
    let tokens: String
    /// What `doctor` writes to find out about permissions; lives for a second.
    let probe: String
    private let prefix: String

    init(project: String) {
        prefix = "\(project):!"
        tokens = prefix + "token"
        probe = prefix + "probe"
    }

    /// String with expiry: who holds the lease, as `<token> <owner>`.
    func lease(_ name: String) -> String { "\(prefix)lease:\(name)" }

    /// Hash of `sequence` and `bytes`: how far a view's version got. Under the project of the rows it speaks of.
    static func marker(_ space: KeySpace) -> String { "\(space.project):!mark:\(space.viewKey):\(space.version)" }

    /// Hash of `revision` and `bytes`.
    func document(_ name: String) -> String { "\(prefix)doc:\(name)" }

    /// List, newest first.
    func journal(_ name: String) -> String { "\(prefix)list:\(name)" }

    /// Hash: field → value.
    func collection(_ name: String) -> String { "\(prefix)hash:\(name)" }
}
