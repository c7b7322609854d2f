import Glibc

/// Random numbers that a seed repeats exactly (SplitMix64: Steele, Lea and Flood, 2014). Not for secrets.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// A number in `0..<1`.
    package mutating func fraction() -> Double { Double.random(in: 0..<1, using: &self) }

    /// Whether something of the given probability happens.
    package mutating func chance(_ probability: Double) -> Bool { fraction() < probability }

    /// A number below `bound`, which is at least 1.
    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    /// An element of a collection that is not empty.
    package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

extension SeededGenerator {
    /// Seeds for the `arguments:` of a test, which names the seed of a case that fails.
    ///
    /// `TIDEMARK_SEED=<number>` in the environment runs that seed alone, to repeat a failure.
    package static func seeds(_ count: Int) -> [UInt64] {
        if let text = unsafe getenv("TIDEMARK_SEED"), let seed = UInt64(unsafe String(cString: text)) { return [seed] }
        return (0..<count).map { UInt64($0) &* 0x9e37_79b9 &+ 1 }
    }
}

/// Runs `body` with a generator of `seed`; prints the seed when the body throws.
package func withSeed<Result>(
    _ seed: UInt64, _ body: (inout SeededGenerator) throws -> Result
) rethrows -> Result {
    var generator = SeededGenerator(seed: seed)
    do {
        return try body(&generator)
    } catch {
        print("failed with TIDEMARK_SEED=\(seed)")
        throw error
    }
}
