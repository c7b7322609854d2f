/// What a request body may hold at most. The values come from the config.
package struct WireLimits: Sendable, Hashable {
    /// Bytes of a body.
    package var bodyBytes = 4 << 20
    /// Entities of a lookup; rows of a write.
    package var entities = 10_000
    /// Features of a lookup.
    package var features = 2_000
    /// How deep arrays and objects may be nested, `1...64`.
    package var nesting = 16
    /// Bytes of a name or an id, unescaped.
    package var stringBytes = 4_096

    package init() {}
}
