/// A dictionary of bounded size. When it is full, a new key takes the place of one that was not asked for since the hand of
/// the clock came by (CLOCK, which is close to least recently used and costs a bit a key). Owned by one, under a lock.
struct BoundedMemory<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Slot: Sendable {
        var key: Key
        var value: Value
        var wasUsed: Bool
    }

    let capacity: Int
    private var slots: [Slot] = []
    private var places: [Key: Int] = [:]
    private var hand = 0

    /// With a capacity of 0 it remembers nothing.
    init(capacity: Int) {
        self.capacity = max(0, capacity)
    }

    var count: Int { slots.count }

    /// What is kept under a key; it counts as used.
    mutating func value(_ key: Key) -> Value? {
        guard let place = places[key] else { return nil }
        slots[place].wasUsed = true
        return slots[place].value
    }

    /// Keeps a value in place of an older one of the key.
    mutating func set(_ key: Key, _ value: Value) {
        if let place = places[key] {
            slots[place].value = value
            return
        }
        guard slots.count >= capacity else {
            places[key] = slots.count
            return slots.append(Slot(key: key, value: value, wasUsed: false))
        }
        guard capacity > 0 else { return }
        while slots[hand].wasUsed {
            slots[hand].wasUsed = false
            hand = (hand + 1) % capacity
        }
        places[slots[hand].key] = nil
        places[key] = hand
        slots[hand] = Slot(key: key, value: value, wasUsed: false)
        hand = (hand + 1) % capacity
    }
}
