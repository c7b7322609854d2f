/// MurmurHash3, x86 32-bit variant (Appleby): how Feast names the fields of its hashes.
enum Murmur3 {
    /// The hash of bytes under a seed.
    static func hash32(_ bytes: some Collection<UInt8>, seed: UInt32 = 0) -> UInt32 {
        var hash = seed
        var word: UInt32 = 0
        var filled: UInt32 = 0
        var count: UInt32 = 0
        for byte in bytes {
            word |= UInt32(byte) << (8 * filled)
            filled += 1
            count &+= 1
            guard filled == 4 else { continue }
            hash ^= scramble(word)
            hash = rotate(hash, 13) &* 5 &+ 0xe654_6b64
            (word, filled) = (0, 0)
        }
        if filled > 0 { hash ^= scramble(word) }
        hash ^= count
        hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
        hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
        return hash ^ hash >> 16
    }

    private static func scramble(_ word: UInt32) -> UInt32 {
        rotate(word &* 0xcc9e_2d51, 15) &* 0x1b87_3593
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word << count | word >> (32 - count)
    }
}
