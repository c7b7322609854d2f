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

    /// The entity of a row key, or `nil` when the key is not of this space. Nothing about the key is trusted.
    package func entity(ofRowKey key: String) -> EntityKey? {
        let (bytes, prefix, suffix) = (key.utf8, prefix.utf8, suffix.utf8)
        let length = bytes.count - prefix.count - suffix.count
        guard (1...EntityKey.maximumBytes).contains(length), bytes.starts(with: prefix),
            bytes.suffix(suffix.count).elementsEqual(suffix)
        else { return nil }
        let text = bytes.dropFirst(prefix.count).prefix(length)
        guard text.allSatisfy(EntityKey.isOfSpelling) else { return nil }
        return EntityKey(canonical: String(decoding: text, as: UTF8.self))
    }
}
