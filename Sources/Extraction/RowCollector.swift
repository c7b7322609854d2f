import FeatureModel

/// Gathers rows into a chunk in which every entity stands once.
///
/// Where a query returns several rows of one entity, the one with the greatest event time stays, among equals the one
/// read last.
struct RowCollector {
    private let width: Int
    private let hasEventTime: Bool
    private var places: [EntityKey: Int] = [:]
    private var keys: [EntityKey] = []
    private var times: [Int64] = []
    private var isDeleted: [Bool] = []
    private var values: [FeatureValue] = []
    private var faulted: Set<EntityKey> = []
    private(set) var faults: [RowFault] = []

    init(width: Int, hasEventTime: Bool) {
        self.width = width
        self.hasEventTime = hasEventTime
    }

    /// How many entities have a row.
    var count: Int { keys.count }

    /// Takes a row. `row` is as wide as the view; a deleted row's values don't matter.
    mutating func add(_ key: EntityKey, eventTime: Int64?, isDeleted deleted: Bool, row: [FeatureValue]) {
        let time = eventTime ?? .min
        if let place = places[key] {
            guard time >= times[place] else { return }
            times[place] = time
            isDeleted[place] = deleted
            values.replaceSubrange(place * width..<(place + 1) * width, with: row)
            return
        }
        places[key] = keys.count
        keys.append(key)
        times.append(time)
        isDeleted.append(deleted)
        values.append(contentsOf: row)
    }

    /// Takes a row that could not be read.
    mutating func add(_ fault: RowFault) {
        faults.append(fault)
        if let key = fault.key { faulted.insert(key) }
    }

    /// Forgets the entity that came last, with its faults: its rows were cut and will be read again.
    mutating func dropLast(_ key: EntityKey) {
        if faulted.remove(key) != nil { faults.removeAll { $0.key == key } }
        guard keys.last == key else { return }
        places[key] = nil
        keys.removeLast()
        times.removeLast()
        isDeleted.removeLast()
        values.removeLast(width)
    }

    /// The chunk. Of the entities asked for, those without any row are removed.
    consuming func chunk(position: UInt64?, askedFor: [EntityKey] = []) -> RowChunk {
        var chunk = RowChunk()
        chunk.position = position
        for key in askedFor where places[key] == nil && !faulted.contains(key) {
            chunk.removed.append(Removal(key: key))
        }
        chunk.faults = faults
        guard isDeleted.contains(true) else {
            chunk.keys = keys
            chunk.values = values
            chunk.eventTimes = hasEventTime ? times : []
            return chunk
        }
        for place in keys.indices {
            if isDeleted[place] {
                chunk.removed.append(Removal(key: keys[place], eventTime: hasEventTime ? times[place] : nil))
            } else {
                chunk.keys.append(keys[place])
                chunk.values.append(contentsOf: values[place * width..<(place + 1) * width])
                if hasEventTime { chunk.eventTimes.append(times[place]) }
            }
        }
        return chunk
    }
}
