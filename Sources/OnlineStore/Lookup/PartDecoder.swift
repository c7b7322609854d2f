import RowCodec

/// Reads the rows of one view into words, marks and facts: memory of `PackedRows`, valid while it is borrowed.
@safe struct PartDecoder {
    /// What is read, and for whom.
    struct Part {
        let plan: LookupPlan
        let index: Int
        let keys: LookupKeys
        let now: Int64
        let reader: RowReader
        /// In microseconds; `nil` when rows may be of any age.
        let maxAge: Int64?
        let slotBase: Int
        let slotCount: Int
        let keyGroup: Int

        init(_ plan: LookupPlan, _ index: Int, _ keys: LookupKeys, now: Int64, keepsStale: Bool) {
            self.plan = plan
            self.index = index
            self.keys = keys
            self.now = now
            reader = plan.parts[index].reader
            maxAge = keepsStale ? nil : plan.parts[index].maxAge
            slotBase = plan.parts[index].slotBase
            slotCount = plan.parts[index].slotCount
            keyGroup = plan.parts[index].keyGroup
        }
    }

    /// Why all values of a row are not there.
    private enum Absence {
        case missing
        case stale
        case failed
    }

    /// Values by their mark.
    typealias Tally = [6 of Int]

    /// A row whose payload has to be unpacked first.
    struct Stop {
        let entity: Int
        let payload: Range<Int>
        let found: PackedRows.RowFacts
    }

    private let part: Part
    private let arena: UnsafeRawBufferPointer
    private let places: UnsafeBufferPointer<PackedRows.Place>
    private let keyBytes: UnsafeRawBufferPointer
    private let words: UnsafeMutablePointer<ValueWord>
    private let marks: UnsafeMutablePointer<UInt8>
    private let facts: UnsafeMutablePointer<PackedRows.RowFacts>

    /// `nil` when there is nothing to be read.
    @inline(__always)
    init?(
        part: Part, arena: UnsafeRawBufferPointer, places: UnsafeBufferPointer<PackedRows.Place>,
        keyBytes: UnsafeRawBufferPointer, words: UnsafeMutableBufferPointer<ValueWord>,
        marks: UnsafeMutableBufferPointer<UInt8>, facts: UnsafeMutableBufferPointer<PackedRows.RowFacts>
    ) {
        guard let words = words.baseAddress, let marks = marks.baseAddress, let facts = facts.baseAddress else {
            return nil
        }
        self.part = part
        unsafe self.arena = arena
        unsafe self.places = places
        unsafe self.keyBytes = keyBytes
        unsafe self.words = words
        unsafe self.marks = marks
        unsafe self.facts = facts
    }

    private var count: Int { part.keys.entityCount }

    /// Where the words and marks of an entity begin.
    @inline(__always)
    private func start(_ entity: Int) -> Int { count &* part.slotBase &+ entity &* part.slotCount }

    /// Reads rows from the one of entity `first` on, up to one that has to be unpacked or to the end.
    func run(from first: Int, _ tally: inout Tally) -> Stop? {
        let reader = part.reader
        for entity in first..<count {
            let place = unsafe places[part.index &* count &+ entity]
            guard place.offset != .max else {
                stand(entity, place.isMissing ? .missing : .failed, .init(), &tally)
                continue
            }
            let key = part.keys.range(group: part.keyGroup, entity)
            let range = Int(place.offset)..<Int(place.offset) &+ Int(place.count)
            let head = unsafe reader.head(
                of: UnsafeRawBufferPointer(rebasing: arena[range]),
                key: UnsafeRawBufferPointer(rebasing: keyBytes[key]))
            guard let head else {
                stand(entity, .failed, .init(), &tally)
                continue
            }
            if head.isTombstone {
                stand(entity, .missing, .init(), &tally)
                continue
            }
            let found = PackedRows.RowFacts(
                eventTime: head.eventTime ?? 0, hasEventTime: head.eventTime != nil, isWhole: false)
            let payload = range.lowerBound &+ head.payloadOffset..<range.upperBound
            if head.isCompressed { return Stop(entity: entity, payload: payload, found: found) }
            finish(entity, payload, found, &tally)
        }
        return nil
    }

    /// Reads the payload of a row; `nil` where it is damaged.
    @inline(__always)
    func finish(_ entity: Int, _ payload: Range<Int>?, _ found: PackedRows.RowFacts, _ tally: inout Tally) {
        let start = start(entity)
        // There is room for the slots of every entity of every part.
        guard let payload,
            let nulls = unsafe part.reader.payload(
                payload, of: arena, words: words + start, marks: marks + start)
        else { return stand(entity, .failed, .init(), &tally) }
        if let maxAge = part.maxAge, found.hasEventTime, PackedRows.age(found.eventTime, part.now) > maxAge {
            return stand(entity, .stale, found, &tally)
        }
        var found = found
        if nulls == 0 {
            found.isWhole = true
            tally[Int(ValueMark.present)] &+= part.slotCount
        } else {
            nullsStand(start, &tally)
        }
        unsafe facts[part.index &* count &+ entity] = found
    }

    private func nullsStand(_ start: Int, _ tally: inout Tally) {
        for slot in 0..<part.slotCount {
            if unsafe marks[start + slot] != ValueMark.present {
                unsafe marks[start + slot] = part.plan.parts[part.index].nullMarks[slot]
            }
            tally[Int(unsafe marks[start + slot])] += 1
        }
    }

    /// Gives all values of a row the marks for its absence.
    private func stand(
        _ entity: Int, _ absence: Absence, _ found: PackedRows.RowFacts, _ tally: inout Tally
    ) {
        let start = start(entity)
        let template =
            switch absence {
            case .missing: part.plan.parts[part.index].missingMarks
            case .stale: part.plan.parts[part.index].staleMarks
            case .failed: part.plan.parts[part.index].failedMarks
            }
        for slot in template.indices {
            unsafe marks[start + slot] = template[slot]
            tally[Int(template[slot])] += 1
        }
        unsafe facts[part.index * count + entity] = found
    }
}
