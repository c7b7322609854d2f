import Crypto

/// The ids of the newest events, so that one that comes again is known. Reads no clock, does no I/O; the owner keeps it in a `Mutex`.
struct EventWindow: ~Copyable {
    /// 128 bits of the SHA-256 of source and id: no two of them meet.
    struct Key: Hashable, Sendable {
        private let high: UInt64
        private let low: UInt64

        init(_ event: ShopEvent) {
            var hash = SHA256()
            // The length keeps source and id apart.
            hash.update(data: Array("\(event.source?.utf8.count ?? -1):\(event.source ?? "")\(event.id)".utf8))
            let digest = hash.finalize().prefix(16)
            high = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
            low = digest.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    private let limit: Int
    private var known: Set<Key> = []
    /// A ring once it is full.
    private var order: [Key] = []
    private var oldest = 0

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// How many ids it remembers.
    var count: Int { known.count }

    /// Whether an event of this id came before, as far as it is remembered.
    func contains(_ key: Key) -> Bool { known.contains(key) }

    /// Remembers an id that it does not contain, in place of the oldest where it is full.
    mutating func insert(_ key: Key) {
        guard known.insert(key).inserted else { return }
        guard order.count == limit else { return order.append(key) }
        known.remove(order[oldest])
        order[oldest] = key
        oldest = (oldest + 1) % limit
    }
}
