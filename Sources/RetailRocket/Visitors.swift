/// Who comes to the shop, how often, and for what. All of it follows from seed and user id: nothing is kept.
struct Visitors {
    let count: Int
    private let seed: UInt64
    private let order: Permutation
    private let popularity: [UInt64]
    private let low: Double
    private let high: Double
    /// Users that asked to be forgotten. They do not come back.
    private(set) var forgotten: Set<Int> = []

    /// How many users can be forgotten in a shop's life.
    static let forgottenLimit = 10_000

    init(count: Int, seed: UInt64, leafPopularity: [UInt64], forgotten: Set<Int> = []) {
        self.count = count
        self.seed = seed
        self.forgotten = forgotten
        popularity = leafPopularity
        order = Permutation(count: count, seed: SplitMix.trait(.userOrder, of: 0, seed: seed))
        low = Self.shift.squareRoot().squareRoot()
        high = (Double(count) + Self.shift).squareRoot().squareRoot()
    }

    private static let shift = 10.0

    /// A user, from 1, by activity: rank r comes with a weight of (r + 10)^-0.75, so that of 10,000 users
    /// the first tenth makes about half of the sessions. The exponent makes the inverse a fourth power, which is exact.
    func pick(_ random: inout Xoshiro) -> Int {
        let root = low + random.unit() * (high - low)
        let square = root * root
        let rank = min(count - 1, max(0, Int(square * square - Self.shift)))
        var user = order[rank] + 1
        var steps = 0
        while forgotten.contains(user), steps <= forgotten.count {
            user = user % count + 1
            steps += 1
        }
        return user
    }

    mutating func forget(_ user: Int) { forgotten.insert(user) }

    /// What a user looks for this time: mostly one of three favourites, the first most; otherwise anything.
    func interest(of user: Int, _ random: inout Xoshiro) -> (leaf: Int, isFavourite: Bool) {
        let roll = random.below(100)
        guard roll < 78 else { return (leaf(at: random.next()), false) }
        let favourite = roll < 42 ? 0 : roll < 65 ? 1 : 2
        return (leaf(at: SplitMix.trait(.taste, of: user &* 3 &+ favourite, seed: seed)), true)
    }

    /// What a user finds neither cheap nor dear.
    func budget(of user: Int) -> Int {
        20 << Int(SplitMix.trait(.budget, of: user, seed: seed) % 7)
    }

    /// A leaf by popularity, from 64 random bits.
    private func leaf(at bits: UInt64) -> Int {
        guard let total = popularity.last else { return 0 }
        return Catalog.search(popularity, popularity.indices, bits.multipliedFullWidth(by: total).high)
    }
}
