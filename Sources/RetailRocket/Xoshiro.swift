/// xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), seeded by SplitMix64.
///
/// The language's own generators may change between releases; a shop made from a seed must not.
package struct Xoshiro: Equatable, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// A generator whose state SplitMix64 makes of a seed.
    package init(seed: UInt64) {
        var words = SplitMix(state: seed)
        state = (words.next(), words.next(), words.next(), words.next())
    }

    /// Continues from `text`, or `nil` when the text is not one. All zero is refused: the generator would stay there.
    package init?(text: String) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map { UInt64($0, radix: 16) }
        guard words.count == 4, let first = words[0], let second = words[1], let third = words[2],
            let fourth = words[3],
            first | second | third | fourth != 0
        else { return nil }
        state = (first, second, third, fourth)
    }

    /// The whole state, to continue from.
    package var text: String {
        [state.0, state.1, state.2, state.3].map { String($0, radix: 16) }.joined(separator: " ")
    }

    /// Equal generators give equal numbers.
    package static func == (left: Xoshiro, right: Xoshiro) -> Bool { left.state == right.state }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = (state.3 << 45) | (state.3 >> 19)
        return result
    }

    /// Uniform in `0..<bound`; 0 for a bound of 0. The bias is below `bound / 2^64`, which nobody can see here.
    mutating func below(_ bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

    /// Uniform in `0..<bound`.
    mutating func below(_ bound: Int64) -> Int64 { Int64(below(UInt64(max(0, bound)))) }

    /// Uniform in `0..<bound`.
    mutating func below(_ bound: Int) -> Int { Int(below(UInt64(max(0, bound)))) }

    /// True with a probability in millionths.
    mutating func chance(ppm: Int) -> Bool { below(1_000_000) < ppm }

    /// Uniform in `0..<1`, 53 bits.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): seeds, and hashes of ids that stand for lasting traits.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number that belongs to an id for good: the traits of users, items and categories need no memory.
    static func trait(_ name: Trait, of id: Int, seed: UInt64) -> UInt64 {
        mix(
            mix(seed &+ name.rawValue &* 0x9e37_79b9_7f4a_7c15) ^ UInt64(truncatingIfNeeded: id)
                &* 0xd1b5_4a32_d192_ed03)
    }

    enum Trait: UInt64 {
        case home = 1
        case price, level, available, rank, taste, budget, parent, itemOrder, userOrder, categoryOrder, word
    }
}
