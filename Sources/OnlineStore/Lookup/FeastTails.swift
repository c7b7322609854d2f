import RowCodec

/// What stands behind the values of Feast's columns, written once: statuses that are all PRESENT, and the timestamps of
/// each view, which are the same for all of its features.
struct FeastTails {
    /// One behind the other: for the key columns and each view the statuses, if they are all PRESENT, and the timestamps.
    private(set) var bytes: [UInt8] = []
    /// For the key columns and each view where its text begins, where its timestamps do, and where it ends.
    private(set) var places: [(statuses: Int, timestamps: Int, end: Int)] = []
    /// For each view whether all its values are PRESENT.
    private(set) var isWhole: [Bool] = []

    /// `"PRESENT",` and a timestamp with quotes and comma, for each entity, and what stands around them.
    private static func bound(_ count: Int) -> Int { 64 + count * (11 + JSONBound.timestamp + 1) }

    init(_ plan: LookupPlan, _ rows: DecodedRows) {
        let parts = plan.parts.count
        bytes.reserveCapacity((parts + 1) * Self.bound(rows.entityCount))
        places.reserveCapacity(parts + 1)
        isWhole.reserveCapacity(parts)
        add(rows.entityCount) { _ in nil }
        for part in 0..<parts {
            var isWhole = true
            add(rows.entityCount) { entity in
                let facts = rows.facts(part, entity)
                isWhole = isWhole && facts.isWhole
                return facts.hasEventTime ? facts.eventTime : nil
            }
            self.isWhole.append(isWhole)
        }
    }

    private mutating func add(_ count: Int, _ time: (Int) -> Int64?) {
        let start = bytes.count
        var timestamps = start
        JSONBytes.write(Self.bound(count), to: &bytes) { cursor in
            let begin = cursor
            cursor.raw("],\"statuses\":[")
            for _ in 0..<count { cursor.raw("\"PRESENT\",") }
            cursor.endList(isEmpty: count == 0)
            timestamps += cursor.count(from: begin)
            cursor.raw(",\"event_timestamps\":[")
            for entity in 0..<count {
                if let time = time(entity) { cursor.timestamp(time) } else { cursor.raw("\"1970-01-01T00:00:00Z\"") }
                cursor.byte(UInt8(ascii: ","))
            }
            cursor.endList(isEmpty: count == 0)
            cursor.raw("},")
        }
        places.append((start, timestamps, bytes.count))
    }

    /// How long the tail of a column is at most; `part` is -1 for a key column.
    func bound(_ part: Int, _ count: Int) -> Int {
        places[part + 1].end - places[part + 1].timestamps + 32 + count * JSONBound.status
    }

    /// The tail of a column all of whose values are PRESENT.
    @inline(__always)
    func write(_ part: Int, _ cursor: inout JSONWriter) { write(from: places[part + 1].statuses, part, &cursor) }

    /// The timestamps of a column, behind its statuses.
    @inline(__always)
    func writeTimestamps(_ part: Int, _ cursor: inout JSONWriter) {
        write(from: places[part + 1].timestamps, part, &cursor)
    }

    @inline(__always)
    private func write(from start: Int, _ part: Int, _ cursor: inout JSONWriter) {
        let end = places[part + 1].end
        unsafe bytes.withUnsafeBytes { unsafe cursor.raw(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
    }
}
