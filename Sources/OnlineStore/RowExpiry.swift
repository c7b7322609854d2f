package import FeatureModel

/// How long a row lives when nothing touches it.
package enum RowExpiry {
    /// Shortens an expiry by up to a tenth, by the key, so that a bulk load doesn't expire in one second.
    package static func jittered(_ milliseconds: Int64, _ key: EntityKey) -> Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key.text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        hash ^= hash >> 33
        return max(1, milliseconds - milliseconds / 10 * Int64(hash % 1_024) / 1_024)
    }
}
