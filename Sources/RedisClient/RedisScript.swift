/// A Lua script and the name that Redis' script cache gives it.
package struct RedisScript: Hashable, Sendable {
    package let source: String
    /// SHA-1 of the source, forty hex digits.
    package let digest: String

    package init(_ source: String) {
        self.source = source
        digest = SHA1.hex(source)
    }
}
