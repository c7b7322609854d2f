/// A fixed shuffle of `0..<count` that needs no table: a Feistel network of four rounds with cycle walking.
package struct Permutation: Sendable {
    private let count: UInt64
    private let halfBits: UInt64
    private let keys: (UInt64, UInt64, UInt64, UInt64)

    /// A shuffle of so many numbers; the seed decides which.
    package init(count: Int, seed: UInt64) {
        self.count = UInt64(max(1, count))
        let bits = UInt64(64 - (self.count - 1).leadingZeroBitCount)
        halfBits = max(1, (bits + 1) / 2)
        var words = SplitMix(state: seed)
        keys = (words.next(), words.next(), words.next(), words.next())
    }

    /// Where `index` goes. The walk leaves the range at most a few times: the network's domain is below four times it.
    package subscript(index: Int) -> Int {
        var value = UInt64(index)
        repeat { value = encrypt(value) } while value >= count
        return Int(value)
    }

    private func encrypt(_ value: UInt64) -> UInt64 {
        let mask = (UInt64(1) << halfBits) - 1
        var left = value >> halfBits
        var right = value & mask
        (left, right) = (right, left ^ (SplitMix.mix(right ^ keys.0) & mask))
        (left, right) = (right, left ^ (SplitMix.mix(right ^ keys.1) & mask))
        (left, right) = (right, left ^ (SplitMix.mix(right ^ keys.2) & mask))
        (left, right) = (right, left ^ (SplitMix.mix(right ^ keys.3) & mask))
        return left << halfBits | right
    }
}
