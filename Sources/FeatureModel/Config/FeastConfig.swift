/// Rows that Feast materialized, in place of the online store: what stands under `serve.feast`.
package struct FeastConfig: Hashable, Sendable {
    /// The path of Feast's registry file.
    package let registry: String
    /// Feast's own name of the project.
    package let project: String
    /// Feast's Redis.
    package let store: StoreConfig
    /// `entity_key_serialization_version` of Feast's `feature_store.yaml`: 2 or 3.
    package let keyVersion: Int
    /// Whether Feast stores rows under names with versions in them.
    package let versionedNames: Bool
}

extension ConfigShape {
    static let feast = ObjectShape(
        name: "feast", summary: "Serves, read only, the rows that Feast materialized, in place of the online store.",
        fields: [
            Field("registry", .text(path), "The path of Feast's registry file.", required: true),
            Field(
                "redis", .text(url("^(redis|rediss|redis\\+unix):")),
                "Feast's Redis: redis://HOST:PORT/DB, rediss:// for TLS, redis+unix:///PATH?db=0. Without a password.",
                required: true),
            Field(
                "project", .text(TextRule(expected: "a name, at most 256 characters", maximumLength: 256)),
                "The project as Feast's feature_store.yaml names it.", default: "the config's project"),
            Field("username", .text(username), "The user to log in as."),
            Field("password", .text(secret), "Where the password is kept: env:NAME or file:PATH."),
            Field(
                "ca_file", .text(path), "For rediss: a PEM file of the authorities to trust.", default: "the system's"),
            Field(
                "connect_timeout", .duration(.milliseconds(10)...(.minutes(1))), "The longest a connection may take.",
                default: "2s"),
            Field(
                "command_timeout", .duration(.milliseconds(10)...(.minutes(1))),
                "The longest a command may take, queueing included.", default: "1s"),
            Field("max_connections", .integer(1...64), "The most connections shared by all views.", default: "4"),
            Field(
                "key_version", .integer(2...3), "entity_key_serialization_version of Feast's feature_store.yaml.",
                default: "3"),
            Field(
                "versioned_names", .flag,
                "registry.enable_online_feature_view_versioning of Feast's feature_store.yaml.", default: "false"),
        ])
}

extension ConfigReader {
    /// What is served of Feast's; reports what is wrong with it. `nil` where there is nothing, or nothing right.
    mutating func feast(_ node: YAMLNode?, project: String?) -> FeastConfig? {
        guard let node, let registry = node["registry"]?.text, let project = node["project"]?.text ?? project,
            let store = store(node, at: "serve.feast", urlKey: "redis")
        else { return nil }
        guard store.url.scheme.isRedis else {
            diagnostics.report(
                node.place, "serve.feast.redis", found: "\(store.url.scheme.rawValue):",
                expected: "Feast's Redis: redis://HOST:PORT/DB, rediss:// or redis+unix://")
            return nil
        }
        return FeastConfig(
            registry: registry, project: project, store: store, keyVersion: Self.count(node["key_version"], 3),
            versionedNames: node["versioned_names"]?.flag ?? false)
    }
}
