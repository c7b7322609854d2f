/// The row keys of one version of one view: `<project>:{<entity key>}<view key>:<version>`.
///
/// The braces are Redis Cluster's hash tag: all views' rows of one entity lie in one slot. Project and view key are
/// `[a-z0-9_-]`, so the parts can't run into each other. `schemas/keys.md` states the grammar.
package struct KeySpace: Hashable, Sendable {
    package let project: String
    package let viewKey: String
    /// Counts from 1.
    package let version: Int

    package init(project: String, viewKey: String, version: Int) {
        self.project = project
        self.viewKey = viewKey
        self.version = version
    }

    /// What stands before an entity key.
    package var prefix: String { "\(project):{" }

    /// What stands behind an entity key.
    package var suffix: String { "}\(viewKey):\(version)" }

    /// The row key of an entity.
    package func rowKey(_ entity: EntityKey) -> String {
        "\(project):{\(entity.text)}\(viewKey):\(version)"
    }

    /// The entity of a row key, or `nil` when the key is not of this space.
    package func entity(ofRowKey key: String) -> EntityKey? {
        guard key.hasPrefix(prefix), key.hasSuffix(suffix), key.utf8.count > prefix.utf8.count + suffix.utf8.count
        else { return nil }
        return EntityKey(canonical: String(key.dropFirst(prefix.count).dropLast(suffix.count)))
    }
}
