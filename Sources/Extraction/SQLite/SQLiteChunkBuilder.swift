import FeatureModel
import LocalDatabase

/// Gathers a chunk from result rows: one row an entity (the one with the greatest event time, then the one read later),
/// faults apart.
struct SQLiteChunkBuilder {
    private enum Entry {
        /// Asked for, and not seen yet.
        case awaited
        case row(Int)
        case removal(Int)
        case fault
    }

    let layout: SQLiteRowLayout
    /// Watermarks and event times from here on are in the future, which no row may be: microseconds since 1970.
    let future: Int64
    /// Whether rows with bad watermarks are faults here; `false` where the caller looks at them itself.
    var checksWatermark = true
    private var chunk = RowChunk()
    private var entries: [EntityKey: Entry] = [:]
    private var asked: [EntityKey]?
    /// At least as many as were asked for and not seen.
    private var awaitedCount = 0
    private var deadRows: Set<Int> = []
    private var deadRemovals: Set<Int> = []

    /// Texts, bytes and lists taken so far, in bytes, about.
    private var bytes = 0

    /// How many bytes of texts, bytes and lists one chunk may have.
    static let byteLimit = 64 << 20

    /// - Throws: `SQLitePageTooHeavy` beyond the limit of bytes: the page is then read again, shorter.
    func requireRoom() throws {
        if bytes > Self.byteLimit { throw SQLitePageTooHeavy() }
    }

    /// How many faults one chunk lists; further ones only keep their rows out.
    static let faultLimit = 10_000

    init(_ layout: SQLiteRowLayout, capacity: Int, now: Int64) {
        self.layout = layout
        future = now + 300_000_000
        let reserved = min(capacity, 100_000)
        chunk.keys.reserveCapacity(reserved)
        chunk.values.reserveCapacity(reserved * layout.features.count)
        if layout.eventTime != nil { chunk.eventTimes.reserveCapacity(reserved) }
        entries.reserveCapacity(reserved)
    }

    /// How many entities were seen.
    var entityCount: Int { entries.count }

    /// From here on only these entities' rows count; those that never come are removed.
    mutating func ask(for keys: [EntityKey]) {
        asked = (asked ?? []) + keys
        for key in keys {
            // Nearly all are new: one look-up puts them in.
            if let known = entries.updateValue(.awaited, forKey: key) {
                entries[key] = known
            } else {
                awaitedCount += 1
            }
        }
    }

    /// Takes a fault that has no result row of the layout.
    mutating func add(_ fault: RowFault) {
        if let key = fault.key { entries[key] = .fault }
        if chunk.faults.count < Self.faultLimit { chunk.faults.append(fault) }
    }

    /// Takes the statement's present row.
    mutating func add(_ row: SQLiteStatement, place: () -> String) {
        let key: EntityKey
        switch SQLiteConversion.key(of: row, layout.keys) {
        case .success(let found): key = found
        case .failure(let fault): return add(fault.rowFault(key: nil, position: place()))
        }
        let entry = entries[key]
        if asked != nil, entry == nil { return }
        take(row, key, entry, place)
    }

    /// Takes the statement's present row, of an entity that had none yet and was not asked for.
    mutating func add(_ row: SQLiteStatement, ofNew key: EntityKey, place: () -> String) {
        take(row, key, nil, place)
    }

    private mutating func take(_ row: SQLiteStatement, _ key: EntityKey, _ entry: Entry?, _ place: () -> String) {
        if case .awaited = entry { awaitedCount -= 1 }
        if checksWatermark, let column = layout.watermarkColumn, let watermark = layout.watermark,
            let broken = SQLiteConversion.watermarkFault(row, column, watermark, style: nil, future: future)
        {
            return fail(key, entry, broken, place)
        }
        if let column = layout.deletedColumn, SQLiteConversion.isTrue(row, column) {
            return remove(key, entry, eventTime: try? eventTime(row).get())
        }
        var time: Int64?
        if layout.eventTimeColumn != nil {
            switch eventTime(row) {
            case .success(let found): time = found
            case .failure(let broken): return fail(key, entry, broken, place)
            }
        }
        keep(key, entry, row, time, place)
    }

    private mutating func fail(_ key: EntityKey, _ entry: Entry?, _ fault: ValueFault, _ place: () -> String) {
        switch entry {
        case nil, .awaited: entries[key] = .fault
        case .row, .removal, .fault: break
        }
        if chunk.faults.count < Self.faultLimit {
            chunk.faults.append(fault.rowFault(key: key, position: place()))
        }
    }

    private func eventTime(_ row: SQLiteStatement) -> Result<Int64?, ValueFault> {
        guard let column = layout.eventTimeColumn, let time = layout.eventTime else { return .success(nil) }
        switch SQLiteConversion.time(row, column, time) {
        case .failure(let fault): return .failure(fault)
        case .success(let found) where found >= future:
            return .failure(
                ValueFault(column: time.column, rule: "future", reason: "\(Timestamps.format(found)) is in the future"))
        case .success(let found): return .success(found)
        }
    }

    private mutating func remove(_ key: EntityKey, _ entry: Entry?, eventTime: Int64?) {
        switch entry {
        case .row(let index):
            guard isLater(eventTime, than: layout.eventTimeColumn == nil ? nil : chunk.eventTimes[index]) else {
                return
            }
            deadRows.insert(index)
        case .removal(let index):
            guard isLater(eventTime, than: chunk.removed[index].eventTime) else { return }
            deadRemovals.insert(index)
        case nil, .awaited, .fault: break
        }
        entries[key] = .removal(chunk.removed.count)
        chunk.removed.append(Removal(key: key, eventTime: eventTime))
    }

    private mutating func keep(
        _ key: EntityKey, _ entry: Entry?, _ row: SQLiteStatement, _ time: Int64?, _ place: () -> String
    ) {
        switch entry {
        case .row(let index) where time != nil && !isLater(time, than: chunk.eventTimes[index]): return
        case .removal(let index) where !isLater(time, than: chunk.removed[index].eventTime): return
        default: break
        }
        let start = chunk.values.count
        var column = layout.keys.count
        for (index, type) in layout.types.enumerated() {
            if !SQLiteConversion.appendNumber(row, column, type, to: &chunk.values) {
                if let fault = SQLiteConversion.append(row, column, layout.features[index], to: &chunk.values) {
                    chunk.values.removeSubrange(start...)
                    return fail(key, entry, fault, place)
                }
                bytes += chunk.values[chunk.values.count - 1].heldBytes
            }
            column += 1
        }
        if case .row(let index) = entry { return replace(index, from: start, time) }
        if case .removal(let index) = entry { deadRemovals.insert(index) }
        entries[key] = .row(chunk.keys.count)
        chunk.keys.append(key)
        if let time { chunk.eventTimes.append(time) }
    }

    private mutating func replace(_ index: Int, from start: Int, _ time: Int64?) {
        let width = layout.features.count
        for offset in 0..<width { chunk.values[index * width + offset] = chunk.values[start + offset] }
        chunk.values.removeSubrange(start...)
        if let time { chunk.eventTimes[index] = time }
    }

    /// Equal counts as later: the row read later wins.
    private func isLater(_ time: Int64?, than other: Int64?) -> Bool {
        (time ?? .max) >= (other ?? .min)
    }

    /// The chunk. Asked-for entities without a row are removed.
    consuming func finish() -> RowChunk {
        for key in asked ?? [] where awaitedCount > 0 {
            guard case .awaited = entries[key] else { continue }
            entries[key] = .removal(chunk.removed.count)
            chunk.removed.append(Removal(key: key))
        }
        if !deadRows.isEmpty { dropDeadRows() }
        if !deadRemovals.isEmpty {
            chunk.removed = chunk.removed.enumerated().filter { !deadRemovals.contains($0.offset) }.map(\.element)
        }
        return chunk
    }

    private mutating func dropDeadRows() {
        let width = layout.features.count
        var alive = RowChunk()
        for index in chunk.keys.indices where !deadRows.contains(index) {
            alive.keys.append(chunk.keys[index])
            alive.values += chunk.values[index * width..<(index + 1) * width]
            if layout.eventTimeColumn != nil { alive.eventTimes.append(chunk.eventTimes[index]) }
        }
        chunk.keys = alive.keys
        chunk.values = alive.values
        chunk.eventTimes = alive.eventTimes
    }
}

/// The rows of a page are so large that fewer of them must be read at once.
struct SQLitePageTooHeavy: Error {
    /// Runs `body` with ever smaller limits until its page is not too heavy.
    ///
    /// - Throws: `tooLarge` when a single entity is.
    static func shrinking<Page>(_ limit: Int, _ body: (Int) throws -> Page) throws -> Page {
        var limit = limit
        while true {
            do {
                return try body(limit)
            } catch is SQLitePageTooHeavy {
                guard limit > 1 else {
                    throw ExtractionError(
                        .tooLarge, "the rows are too large",
                        detail: "more than \(SQLiteChunkBuilder.byteLimit) bytes for one entity or position")
                }
                limit = max(1, limit / 8)
            }
        }
    }
}

extension FeatureValue {
    /// What the value holds beside itself, in bytes, about.
    var heldBytes: Int {
        switch self {
        case .string(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .vector(let elements): elements.count * 4
        case .list(let elements): elements.reduce(0) { $0 + 24 + $1.heldBytes }
        case .null, .bool, .int32, .int64, .float32, .float64, .timestamp: 0
        }
    }
}
