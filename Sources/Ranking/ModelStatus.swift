/// How one model stands.
package struct ModelStatus: Sendable, Hashable {
    /// One version in memory.
    package struct Version: Sendable, Hashable {
        package let version: String
        package let sha256: String
        package let bytes: Int
        package let columns: [String]
        package let metrics: [String: Double]
        /// Microseconds since 1970.
        package let loadedAt: Int64
    }

    package var name: String
    /// `xgboost`, or `remote` for one that another server scores with.
    package var kind: String
    /// What scores now; `nil` when nothing could be loaded yet.
    package var live: Version?
    /// What a rollback would go back to.
    package var previous: Version?
    /// The versions in the folder, oldest first; empty for a remote model.
    package var versions: [String] = []
    /// Why the last load was refused; `nil` when the last one was taken.
    package var problem: String?
    package var loads = 0
    package var refusals = 0
    package var rollbacks = 0
    /// Scores that the live version left open, and that count as the lowest.
    package var openScores = 0
    /// Whether the last call changed what is live.
    package var isChanged = false
}

/// What happened to a model, for logs.
package enum ModelEvent: Sendable {
    case loaded(model: String, version: String, previous: String?)
    case unchanged(model: String, version: String)
    case refused(model: String, version: String?, RankerError)
    case rolledBack(model: String, version: String, from: String)
}
