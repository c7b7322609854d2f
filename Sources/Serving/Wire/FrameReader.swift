package import FeatureModel
package import NIOCore

/// Rows that a caller wants written, as one view has them.
package struct PushedRows: Sendable {
    package internal(set) var keys: [EntityKey] = []
    /// Microseconds since 1970, one a row.
    package internal(set) var eventTimes: [Int64] = []
    /// Row by row, the view's features in their order.
    package internal(set) var values: [FeatureValue] = []
}

/// Reads a data frame (column → list) by the definition of a view.
package struct FrameReader {
    private let view: FeatureView
    private let limits: WireLimits
    /// Event times later than this are a mistake: such a row could not be replaced before its time has come.
    private let latest: Int64

    /// The name that Feast's SDK gives the column of event times, whatever the view calls it.
    private static let eventTimeAlias = "event_timestamp"
    /// How far ahead of the clock an event time may be, in microseconds: a day.
    package static let allowedAhead: Int64 = 86_400_000_000

    /// `now` in microseconds since 1970.
    package init(_ view: FeatureView, limits: WireLimits, now: Int64) {
        self.view = view
        self.limits = limits
        latest = now.addingReportingOverflow(Self.allowedAhead).partialValue
    }

    /// Where the columns of a frame lie.
    private struct Columns {
        var places: [String: Int] = [:]
        var rows = 0
        /// Whether some value isn't null.
        var hasValues = false
    }

    /// Reads the frame. One without rows, or with nothing but nulls, has nothing to write: no rows.
    package func rows(_ body: ByteBuffer, _ frame: Range<Int>) throws(WireError) -> PushedRows {
        guard let eventTime = view.source.eventTime else {
            throw WireError(
                .columns,
                "view \(view.name) has no event_time, so that nothing tells whether a pushed row is newer; "
                    + "name one in its definition to push to it")
        }
        let bytes = body.readableBytesSpan
        let columns = try self.columns(bytes, frame)
        var rows = PushedRows()
        guard columns.rows > 0, columns.hasValues else { return rows }
        try requireColumns(columns, eventTime)
        rows.keys = try keys(columns, bytes)
        rows.eventTimes = try times(columns, bytes, eventTime)
        rows.values = Array(repeating: .null, count: columns.rows * view.features.count)
        for (index, feature) in view.features.enumerated() {
            guard let place = columns.places[feature.name] else { continue }
            try fill(&rows.values, index, feature, at: place, bytes)
        }
        return rows
    }

    // MARK: Columns

    private func columns(_ bytes: RawSpan, _ frame: Range<Int>) throws(WireError) -> Columns {
        var columns = Columns()
        var count: Int?
        var cursor = JSONCursor(at: frame.lowerBound, maximumDepth: JSONCursor.deepest)
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            let name = try cursor.name(bytes)
            guard name.range.count <= limits.stringBytes, columns.places.count < limits.features else {
                throw WireError(.limitExceeded, "there are over \(limits.features) columns", path: [.field("df")])
            }
            let text = name.string(bytes)
            let start = cursor.index
            let length = try length(&cursor, bytes, text, &columns)
            if let count, count != length {
                throw WireError(.unequalColumns, "All arrays must be of the same length", offset: start)
            }
            count = length
            columns.places[text] = start
            goesOn = try cursor.hasMore(bytes, in: .object)
        }
        columns.rows = count ?? 0
        return columns
    }

    private func length(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, _ name: String, _ columns: inout Columns
    ) throws(WireError) -> Int {
        guard cursor.kind(bytes) == .array else {
            let range = try cursor.valueRange(bytes)
            try RequestFields.require(.list, at: range, bytes, path: [.field("df"), .field(name)])
            return 0
        }
        var length = 0
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            length += 1
            let value = try cursor.valueRange(bytes)
            if !columns.hasValues { columns.hasValues = !bytes.holds("null", at: value) }
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        guard length <= limits.entities else {
            throw WireError(
                .limitExceeded, "there are over \(limits.entities) rows", path: [.field("df"), .field(name)])
        }
        return length
    }

    private func requireColumns(_ columns: Columns, _ eventTime: TimeColumn) throws(WireError) {
        let needed = view.entity.keys.map(\.name) + view.features.map(\.name)
        var missing = needed.filter { columns.places[$0] == nil }
        if columns.places[eventTime.column] == nil, columns.places[Self.eventTimeAlias] == nil {
            missing.append(eventTime.column)
        }
        var known = Set(needed + [eventTime.column, Self.eventTimeAlias, "created"])
        if case .column(let watermark) = view.source.watermark {
            known.formUnion([watermark.column] + watermark.tieBreaker)
        }
        let strange = columns.places.keys.filter { !known.contains($0) }.sorted()
        var words: [String] = []
        if !missing.isEmpty { words.append("columns are missing: \(Set(missing).sorted().joined(separator: ", "))") }
        if let first = strange.first {
            let hint = missing.isEmpty ? Nearest.hint(first, among: Array(known)) : Nearest.hint(first, among: missing)
            words.append("columns that it doesn't have: \(strange.prefix(20).joined(separator: ", "))\(hint)")
        }
        guard words.isEmpty else {
            throw WireError(
                .columns, "the rows don't fit view \(view.name): \(words.joined(separator: "; "))", path: [.field("df")]
            )
        }
    }

    // MARK: Values

    private func keys(_ columns: Columns, _ bytes: RawSpan) throws(WireError) -> [EntityKey] {
        let reader = EntityReader(KeyColumns(view.entity.keys), limits: limits, root: "df")
        var values: [KeyValues.Column] = []
        for (index, key) in view.entity.keys.enumerated() {
            guard let place = columns.places[key.name] else { continue }
            values.append(try reader.list(at: place, bytes, index))
        }
        var keys: [EntityKey] = []
        keys.reserveCapacity(columns.rows)
        for row in 0..<columns.rows {
            guard let key = EntityKey(values.map { $0[row] }) else {
                throw WireError(
                    .invalidKey, "the key of \(view.entity.name) is over \(EntityKey.maximumBytes) bytes",
                    path: [.field("df"), .field(view.entity.keys[0].name), .element(row)])
            }
            keys.append(key)
        }
        return keys
    }

    private func times(
        _ columns: Columns, _ bytes: RawSpan, _ eventTime: TimeColumn
    ) throws(WireError) -> [Int64] {
        let name = columns.places[eventTime.column] == nil ? Self.eventTimeAlias : eventTime.column
        var times: [Int64] = []
        times.reserveCapacity(columns.rows)
        try each(columns.places[name] ?? 0, bytes) { (cursor, row) throws(WireError) in
            let start = cursor.index
            do throws(FeatureValueReader.Misfit) {
                times.append(try FeatureValueReader.time(&cursor, bytes, unit: eventTime.unit ?? .seconds))
            } catch {
                throw WireError(
                    .invalidValue, "\(name) is an event time, this is \(error.found)",
                    path: [.field("df"), .field(name), .element(row)], offset: start)
            }
            guard let time = times.last, time <= latest else {
                throw WireError(
                    .invalidValue, "the event time is more than a day ahead of the clock",
                    path: [.field("df"), .field(name), .element(row)], offset: start)
            }
        }
        return times
    }

    private func fill(
        _ values: inout [FeatureValue], _ index: Int, _ feature: Feature, at place: Int, _ bytes: RawSpan
    ) throws(WireError) {
        let reader = FeatureValueReader(type: feature.type)
        let width = view.features.count
        try each(place, bytes) { (cursor, row) throws(WireError) in
            let start = cursor.index
            do throws(FeatureValueReader.Misfit) {
                values[row * width + index] = try reader.read(&cursor, bytes)
            } catch {
                throw WireError(
                    .invalidValue, "\(feature.name) is \(feature.type.spelling), this is \(error.found)",
                    path: [.field("df"), .field(feature.name), .element(row)], offset: start)
            }
        }
    }

    /// Goes through the list at `place`, whose elements `body` reads.
    private func each(
        _ place: Int, _ bytes: RawSpan, _ body: (inout JSONCursor, Int) throws(WireError) -> Void
    ) throws(WireError) {
        var cursor = JSONCursor(at: place, maximumDepth: JSONCursor.deepest)
        var row = 0
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            try body(&cursor, row)
            row += 1
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
    }
}
