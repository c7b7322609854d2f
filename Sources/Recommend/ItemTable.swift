import FeatureModel

/// Numbers of items: a dictionary that takes a fraction of the time where ids are integers, as most are. Then it is a table with open
/// addressing whose hash is mixed with a number of this process, so that a caller can't choose ids that collide.
struct ItemTable {
    private static let secret = UInt64.random(in: 0 ... .max)

    /// A free place has a number below 0.
    private var slots: [(id: Int64, number: Int32)]
    private var mask: Int
    private var used = 0
    private var others: [EntityKeyValue: Int32] = [:]

    /// Has room for so many integers before it grows.
    init(capacity: Int) {
        var count = 16
        while count < capacity * 2 { count *= 2 }
        slots = Array(repeating: (0, -1), count: count)
        mask = count - 1
    }

    /// The items of a list, numbered by their first place in it.
    init(_ ids: some Collection<EntityKeyValue>) {
        self.init(capacity: ids.count)
        for (number, id) in ids.enumerated() { insert(id, number) }
    }

    /// The number of an item; `nil` for one that has none.
    subscript(_ id: EntityKeyValue) -> Int? {
        guard case .integer(let id) = id else { return others[id].map { Int($0) } }
        let slot = slots[place(of: id)]
        return slot.number < 0 ? nil : Int(slot.number)
    }

    func contains(_ id: EntityKeyValue) -> Bool { self[id] != nil }

    /// Gives an item a number, `0..<Int32.max`, unless it has one.
    mutating func insert(_ id: EntityKeyValue, _ number: Int) {
        guard case .integer(let id) = id else {
            if others[id] == nil { others[id] = Int32(clamping: number) }
            return
        }
        let place = place(of: id)
        guard slots[place].number < 0 else { return }
        slots[place] = (id, Int32(clamping: number))
        used += 1
        if used * 2 > slots.count { grow() }
    }

    /// Where an integer is or would be.
    private func place(of id: Int64) -> Int {
        // The finalizer of SplitMix64 (Steele, Lea, Flood), keyed.
        var mixed = UInt64(bitPattern: id) ^ Self.secret
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        var place = Int(truncatingIfNeeded: mixed ^ (mixed >> 31)) & mask
        while slots[place].number >= 0, slots[place].id != id { place = (place + 1) & mask }
        return place
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: (0, -1), count: old.count * 2)
        mask = slots.count - 1
        for slot in old where slot.number >= 0 { slots[place(of: slot.id)] = slot }
    }
}
