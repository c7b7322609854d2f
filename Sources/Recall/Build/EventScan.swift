import Extraction
import FeatureModel

/// One row of a list's query.
struct RecallEvent {
    var item: EntityKeyValue
    /// Microseconds since 1970.
    var time: Int64 = 0
    var user: EntityKeyValue?
    var weight = 1.0
    var segment: String?
    var vector: [Float] = []
}

/// Reads a list's query from end to end, page by page.
struct EventScan {
    /// Which columns are read beside the item.
    struct Wanted {
        var user = false
        var weight = false
        var segment = false
        var vector = false
    }

    let list: RecallListConfig
    let itemKey: Entity.Key
    let userKey: Entity.Key?
    let source: any QuerySource

    /// Rows of a page.
    static let pageRows = 10_000
    /// The longest name of a segment, in bytes.
    static let maximumSegmentBytes = 256

    init(_ list: RecallListConfig, entities: [Entity], source: any QuerySource) throws(RecallError) {
        self.list = list
        self.source = source
        itemKey = try Self.key(list.item, "item", list, entities)
        var userKey: Entity.Key?
        if let user = list.user { userKey = try Self.key(user, "user", list, entities) }
        self.userKey = userKey
    }

    private static func key(
        _ name: String, _ role: String, _ list: RecallListConfig, _ entities: [Entity]
    ) throws(RecallError) -> Entity.Key {
        guard let entity = entities.first(where: { $0.name == name }), entity.keys.count == 1 else {
            throw RecallError(
                .misconfigured, "a list's entity is not there, or has several key columns",
                detail: "list \(list.name), \(role): \(name)")
        }
        return entity.keys[0]
    }

    private func query(_ columns: [QueryColumn]) -> SourceQuery {
        SourceQuery(
            owner: "recall list \"\(list.name)\"", sql: list.query, columns: columns, pageTimeout: list.timeout)
    }

    private func timeColumn() -> QueryColumn? {
        list.time.map { QueryColumn($0.column, .time($0.unit)) }
    }

    // MARK: The newest event

    /// Reads the times alone: when the newest event happened that is not after `until`, and how many rows there are.
    func newest(until: Int64?, progress: (Int64) -> Void) async throws -> (newest: Int64?, rows: Int64) {
        guard let column = timeColumn() else { return (until, 0) }
        let reader = try await source.open(query([column]))
        var newest: Int64?
        var rows: Int64 = 0
        do {
            while true {
                let page = try await reader.next(limit: Self.pageRows)
                rows += Int64(page.rowCount + page.faultCount)
                for case .timestamp(let time) in page.values where time <= until ?? .max {
                    newest = max(newest ?? .min, time)
                }
                progress(rows)
                if page.isLast { break }
            }
        } catch {
            await reader.close()
            throw error
        }
        await reader.close()
        return (newest, rows)
    }

    // MARK: Events

    /// Hands over the events page by page; counts rows and faults.
    ///
    /// - Throws: What the source and `body` throw, and `misconfigured` where no row at all is what the config says.
    func read(
        _ wanted: Wanted, into counts: inout RecallCounts, progress: (Int64) -> Void,
        _ body: ([RecallEvent]) throws -> Void
    ) async throws {
        let columns = columns(wanted)
        let reader = try await source.open(query(columns))
        var example: RowFault?
        var events: [RecallEvent] = []
        do {
            while true {
                let page = try await reader.next(limit: Self.pageRows)
                example = example ?? page.faults.first
                events.removeAll(keepingCapacity: true)
                for index in 0..<page.rowCount {
                    guard let event = event(page.row(index), columns, wanted) else { continue }
                    events.append(event)
                }
                counts.rows += Int64(page.rowCount + page.faultCount)
                counts.faults += Int64(page.faultCount + page.rowCount - events.count)
                try body(events)
                progress(counts.rows)
                if page.isLast { break }
            }
        } catch {
            await reader.close()
            throw error
        }
        await reader.close()
        try requireSense(counts, example)
    }

    private func requireSense(_ counts: RecallCounts, _ example: RowFault?) throws(RecallError) {
        guard counts.rows > 0, counts.faults == counts.rows else { return }
        let reason = example.map { "column \($0.column): \($0.reason)" } ?? "a key or weight out of range"
        throw RecallError(
            .misconfigured, "no row of the query is what the list says",
            detail: "list \(list.name): \(counts.rows) rows, as in \(reason)")
    }

    private func columns(_ wanted: Wanted) -> [QueryColumn] {
        var columns = [QueryColumn(itemKey.name, .value(Self.type(itemKey)))]
        if let time = timeColumn() { columns.append(time) }
        if wanted.user, let userKey { columns.append(QueryColumn(userKey.name, .value(Self.type(userKey)))) }
        if wanted.weight, let weight = list.weight { columns.append(QueryColumn(weight, .value(.scalar(.float64)))) }
        if wanted.segment, let segment = list.segment {
            columns.append(QueryColumn(segment, .label, isNullable: true))
        }
        if wanted.vector, let column = list.vectors.column {
            columns.append(QueryColumn(column, .value(.vector(list.vectors.dimension))))
        }
        return columns
    }

    private static func type(_ key: Entity.Key) -> FeatureType {
        switch key.type {
        case .int32: .scalar(.int32)
        case .int64: .scalar(.int64)
        case .string: .scalar(.string)
        case .bytes: .scalar(.bytes)
        }
    }

    /// - Returns: `nil` for a row whose key or weight makes no sense.
    private func event(_ row: ArraySlice<FeatureValue>, _ columns: [QueryColumn], _ wanted: Wanted) -> RecallEvent? {
        var rest = row
        guard let item = rest.popFirst().flatMap(Self.key) else { return nil }
        var event = RecallEvent(item: item)
        if list.time != nil, case .timestamp(let time)? = rest.popFirst() { event.time = time }
        if wanted.user, userKey != nil {
            guard let user = rest.popFirst().flatMap(Self.key) else { return nil }
            event.user = user
        }
        if wanted.weight, list.weight != nil {
            guard case .float64(let weight)? = rest.popFirst(), weight >= 0, weight <= 1e12 else { return nil }
            event.weight = weight
        }
        if wanted.segment, list.segment != nil, case .string(let segment)? = rest.popFirst() {
            guard segment.utf8.count <= Self.maximumSegmentBytes else { return nil }
            event.segment = segment
        }
        if wanted.vector, case .vector(let vector)? = rest.popFirst() { event.vector = vector }
        return event
    }

    private static func key(_ value: FeatureValue) -> EntityKeyValue? {
        switch value {
        case .int32(let number): .integer(Int64(number))
        case .int64(let number): .integer(number)
        case .string(let text): text.utf8.count <= EntityKey.maximumBytes ? .text(text) : nil
        case .bytes(let bytes): bytes.count <= EntityKey.maximumBytes ? .bytes(bytes) : nil
        default: nil
        }
    }
}
