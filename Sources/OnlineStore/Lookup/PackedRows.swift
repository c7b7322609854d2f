package import FeatureModel
import RowCodec

/// The packed rows of one request, in one arena, and what was read of them.
///
/// One can be used for request after request (`reset`): it then allocates nothing. Rows that are never set are FAILED.
package struct PackedRows: Sendable {
    /// Where a row lies in the arena, or why it lies nowhere.
    struct Place: Sendable {
        var offset: UInt32
        var count: UInt32

        static var unknown: Place { Place(offset: .max, count: 0) }
        static var missing: Place { Place(offset: .max, count: 1) }

        @inline(__always)
        var isUnknown: Bool { offset == .max && count == 0 }
        @inline(__always)
        var isMissing: Bool { offset == .max && count == 1 }
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
        arena.reserveCapacity(min(count * Self.usualRowBytes, Self.keptBytes))
    }

    private static let usualRowBytes = 64

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
            if rows.contains(where: { places[$0].isUnknown }) {
                fail(part: part, reason: reason)
            }
        }
    }

    /// Reads all rows.
    ///
    /// `now` is in microseconds since 1970. With `keepsStale` a row that is too old is as good as any.
    mutating func decode(_ plan: LookupPlan, _ keys: LookupKeys, now: Int64, keepsStale: Bool) {
        let values = keys.entityCount * plan.slotCount
        if words.count < values {
            words = Array(repeating: ValueWord(bits: 0), count: values)
            marks = Array(repeating: 0, count: values)
        }
        if facts.count < keys.rowCount { facts = Array(repeating: RowFacts(), count: keys.rowCount) }
        // Rows that nobody made room for are as unknown as those that were not set.
        while places.count < keys.rowCount { places.append(.unknown) }
        if isOverLimit { failRest(plan, keys, reason: "the rows are over \(LookupLimits.rowBytes) bytes together") }
        counts = LookupCounts(parts: plan.parts.count)
        for index in plan.parts.indices {
            decode(PartDecoder.Part(plan, index, keys, now: now, keepsStale: keepsStale))
        }
    }

    private mutating func decode(_ part: PartDecoder.Part) {
        var tally = PartDecoder.Tally(repeating: 0)
        var entity = 0
        while true {
            let stop = withDecoder(part) { $0.run(from: entity, &tally) }
            guard let stop else { break }
            // The arena may move when it grows, so nobody looks into it now.
            let payload = RowReader.unpack(stop.payload, of: &arena, limit: LookupLimits.arenaBytes)
            _ = withDecoder(part) { $0.finish(stop.entity, payload, stop.found, &tally) }
            entity = stop.entity + 1
        }
        for mark in tally.indices { counts.add(tally[mark], UInt8(mark), part.index) }
    }

    @inline(__always)
    private mutating func withDecoder<Result>(_ part: PartDecoder.Part, _ body: (PartDecoder) -> Result?) -> Result? {
        unsafe arena.withUnsafeBytes { arena in
            unsafe places.withUnsafeBufferPointer { places in
                unsafe part.keys.bytes.withUnsafeBytes { keys in
                    unsafe words.withUnsafeMutableBufferPointer { words in
                        unsafe marks.withUnsafeMutableBufferPointer { marks in
                            unsafe facts.withUnsafeMutableBufferPointer { facts in
                                unsafe PartDecoder(
                                    part: part, arena: arena, places: places, keyBytes: keys, words: words,
                                    marks: marks, facts: facts
                                ).flatMap(body)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Calls `body` with what was read.
    @inline(__always)
    func withDecoded<Result, Failure: Error>(
        _ keys: LookupKeys, _ body: (DecodedRows) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe arena.withUnsafeBufferPointer { (arena) throws(Failure) -> Result in
            try unsafe words.withUnsafeBufferPointer { (words) throws(Failure) -> Result in
                try unsafe marks.withUnsafeBufferPointer { (marks) throws(Failure) -> Result in
                    try unsafe facts.withUnsafeBufferPointer { (facts) throws(Failure) -> Result in
                        try body(
                            unsafe DecodedRows(
                                words: words, marks: marks, facts: facts, arena: UnsafeRawBufferPointer(arena),
                                entityCount: keys.entityCount))
                    }
                }
            }
        }
    }

    /// Microseconds since an event; the longest there is where that overflows.
    @inline(__always)
    static func age(_ eventTime: Int64, _ now: Int64) -> Int64 {
        let (age, overflow) = now.subtractingReportingOverflow(eventTime)
        guard overflow else { return age }
        return eventTime < 0 ? .max : .min
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
