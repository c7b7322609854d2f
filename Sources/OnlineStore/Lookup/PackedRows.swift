package import FeatureModel
import RowCodec

/// The packed rows of one request, in one arena, and what was read of them.
///
/// One can be used for request after request (`reset`): it then allocates nothing. Rows that are never set are FAILED.
package struct PackedRows: Sendable {
    /// Where a row lies in the arena, or why it lies nowhere.
    private struct Place: Sendable {
        var offset: UInt32
        var count: UInt32

        static let unknown = Place(offset: .max, count: 0)
        static let missing = Place(offset: .max, count: 1)
    }

    /// What a row turned out to be.
    struct RowFacts: Sendable {
        /// Of the row's event; 0 where it has none.
        var eventTime: Int64 = 0
        var hasEventTime = false
        /// Whether every value of it is PRESENT.
        var isWhole = false
    }

    private var arena: [UInt8] = []
    private var places: [Place]
    /// Of parts that could not be read.
    private(set) var failures: [(part: Int, reason: String)] = []
    private var isOverLimit = false

    // What `decode` finds. Only the first so many elements belong to this request.
    private(set) var words: [ValueWord] = []
    private(set) var marks: [UInt8] = []
    private(set) var facts: [RowFacts] = []
    private(set) var counts = LookupCounts()

    /// Room for so many rows: `LookupKeys.rowCount`.
    package init(count: Int) {
        places = Array(repeating: .unknown, count: count)
    }

    /// How many rows there are.
    package var count: Int { places.count }

    /// Forgets all rows and makes room for others, keeping memory of a moderate size.
    package mutating func reset(count: Int) {
        failures.removeAll(keepingCapacity: true)
        isOverLimit = false
        counts = LookupCounts()
        if arena.capacity > Self.keptBytes { arena = [] } else { arena.removeAll(keepingCapacity: true) }
        if words.count > Self.keptBytes / 8 { (words, marks, facts) = ([], [], []) }
        if places.capacity > Self.keptBytes / 8 { places = [] } else { places.removeAll(keepingCapacity: true) }
        for _ in 0..<count { places.append(.unknown) }
    }

    private static let keptBytes = 1 << 20

    /// Takes a row as it came out of the store; `nil` where there is none. Copies it.
    package mutating func set(_ index: Int, _ bytes: UnsafeRawBufferPointer?) {
        guard places.indices.contains(index) else { return }
        guard let bytes = unsafe bytes else {
            places[index] = .missing
            return
        }
        guard bytes.count <= RowFormat.maximumRowBytes, arena.count + bytes.count <= LookupLimits.rowBytes else {
            isOverLimit = isOverLimit || bytes.count <= RowFormat.maximumRowBytes
            return places[index] = .unknown
        }
        places[index] = Place(offset: UInt32(arena.count), count: UInt32(bytes.count))
        unsafe arena.append(contentsOf: bytes)
    }

    /// Takes a row as it came out of the store; `nil` where there is none. Copies it.
    package mutating func set(_ index: Int, _ bytes: [UInt8]?) {
        guard let bytes else { return unsafe set(index, UnsafeRawBufferPointer?.none) }
        unsafe bytes.withUnsafeBytes { unsafe set(index, $0) }
    }

    /// Says why a view's rows are not there; they count as FAILED.
    package mutating func fail(part: Int, reason: String) {
        guard !failures.contains(where: { $0.part == part }) else { return }
        failures.append((part, reason))
    }

    /// Says why the rows that were not set are not there: of every view that lacks one.
    package mutating func failRest(_ plan: LookupPlan, _ keys: LookupKeys, reason: String) {
        for part in plan.parts.indices {
            let rows = part * keys.entityCount..<min((part + 1) * keys.entityCount, places.count)
            if rows.contains(where: { places[$0].offset == .max && places[$0].count == 0 }) {
                fail(part: part, reason: reason)
            }
        }
    }

    /// Reads all rows: the words and marks of value (entity, slot) of a part are at
    /// `entityCount * slotBase + entity * slotCount + slot`.
    ///
    /// `now` is in microseconds since 1970. With `keepsStale` a row that is too old is as good as any.
    mutating func decode(_ plan: LookupPlan, _ keys: LookupKeys, now: Int64, keepsStale: Bool) {
        let values = keys.entityCount * plan.slotCount
        if words.count < values {
            words = Array(repeating: ValueWord(bits: 0), count: values)
            marks = Array(repeating: 0, count: values)
        }
        if facts.count < keys.rowCount { facts = Array(repeating: RowFacts(), count: keys.rowCount) }
        if isOverLimit { failRest(plan, keys, reason: "the rows are over \(LookupLimits.rowBytes) bytes together") }
        counts = LookupCounts(parts: plan.parts.count)
        for index in plan.parts.indices {
            decode(plan.parts[index], index, keys, now: now, keepsStale: keepsStale)
        }
    }

    private mutating func decode(
        _ part: LookupPlan.Part, _ partIndex: Int, _ keys: LookupKeys, now: Int64, keepsStale: Bool
    ) {
        let slots = part.slotCount
        var value = keys.entityCount * part.slotBase
        for entity in 0..<keys.entityCount {
            let row = partIndex * keys.entityCount + entity
            var found = RowFacts()
            let outcome = read(row, part, keys.range(group: part.keyGroup, entity), keys, value, &found)
            switch outcome {
            case .values(let nulls):
                let isStale = !keepsStale && Self.isStale(found, part.maxAge, now)
                if isStale { mark(value, part.staleMarks) } else if nulls > 0 { markNulls(value, part.nullMarks) }
                found.isWhole = nulls == 0 && !isStale
            case .nothing: mark(value, part.missingMarks)
            case .damaged: for slot in 0..<slots { marks[value + slot] = ValueMark.failed }
            }
            if found.isWhole {
                counts.add(slots, ValueMark.present, partIndex)
            } else {
                for slot in 0..<slots { counts.add(1, marks[value + slot], partIndex) }
            }
            facts[row] = found
            value += slots
        }
    }

    private enum Outcome {
        case values(nulls: Int)
        case nothing
        case damaged
    }

    @inline(__always)
    private mutating func read(
        _ row: Int, _ part: LookupPlan.Part, _ keyRange: Range<Int>, _ keys: LookupKeys, _ value: Int,
        _ found: inout RowFacts
    ) -> Outcome {
        let place = row < places.count ? places[row] : .unknown
        guard place.offset != .max else { return place.count == 0 ? .damaged : .nothing }
        let range = Int(place.offset)..<Int(place.offset) + Int(place.count)
        let head = unsafe arena.withUnsafeBytes { arena in
            unsafe keys.bytes.withUnsafeBytes { key in
                unsafe part.reader.head(
                    of: UnsafeRawBufferPointer(rebasing: arena[range]),
                    key: UnsafeRawBufferPointer(rebasing: key[keyRange]))
            }
        }
        guard let head else { return .damaged }
        if head.isTombstone { return .nothing }
        if let eventTime = head.eventTime {
            found.eventTime = eventTime
            found.hasEventTime = true
        }
        var payload = range.lowerBound + head.payloadOffset..<range.upperBound
        if head.isCompressed {
            guard let unpacked = RowReader.unpack(payload, of: &arena, limit: Int(UInt32.max) / 2) else {
                found = RowFacts()
                return .damaged
            }
            payload = unpacked
        }
        // Words and marks have room for the slots of every entity and part from `value` on.
        let nulls = unsafe arena.withUnsafeBytes { arena in
            unsafe words.withUnsafeMutableBufferPointer { words in
                unsafe marks.withUnsafeMutableBufferPointer { marks -> Int? in
                    guard let words = words.baseAddress, let marks = marks.baseAddress else { return 0 }
                    return unsafe part.reader.payload(payload, of: arena, words: words + value, marks: marks + value)
                }
            }
        }
        guard let nulls else {
            found = RowFacts()
            return .damaged
        }
        return .values(nulls: nulls)
    }

    private static func isStale(_ row: RowFacts, _ maxAge: Int64?, _ now: Int64) -> Bool {
        guard let maxAge, row.hasEventTime else { return false }
        return age(row.eventTime, now) > maxAge
    }

    /// Microseconds since an event; the longest there is where that overflows.
    static func age(_ eventTime: Int64, _ now: Int64) -> Int64 {
        let (age, overflow) = now.subtractingReportingOverflow(eventTime)
        guard overflow else { return age }
        return eventTime < 0 ? .max : .min
    }

    private mutating func mark(_ value: Int, _ template: [UInt8]) {
        for slot in template.indices { marks[value + slot] = template[slot] }
    }

    private mutating func markNulls(_ value: Int, _ template: [UInt8]) {
        for slot in template.indices where marks[value + slot] != 0 { marks[value + slot] = template[slot] }
    }

    /// Calls `body` with the arena that the words speak of.
    @inline(__always)
    func withArena<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        unsafe arena.withUnsafeBytes { unsafe body($0) }
    }
}

/// How many values of each view had which status, features that were asked for twice counting once.
package struct LookupCounts: Sendable, Equatable {
    /// By part, then by mark.
    private var counts: [Int] = []

    init() {}

    init(parts: Int) {
        counts = Array(repeating: 0, count: parts * ValueMark.count)
    }

    @inline(__always)
    mutating func add(_ count: Int, _ mark: UInt8, _ part: Int) {
        counts[part * ValueMark.count + Int(mark)] += count
    }

    /// Values of the part (see `LookupPlan.views`) with this status.
    package func count(of status: FeatureStatus, part: Int) -> Int {
        let index = part * ValueMark.count + Int(ValueMark.mark(status))
        return counts.indices.contains(index) ? counts[index] : 0
    }
}
