package import NIOCore
import RowCodec

extension LookupEncoder {
    /// How a body for Feast's clients is to be.
    package struct FeastOptions: Sendable {
        /// What a client is told of values that are not there.
        package enum Statuses: Sendable {
            /// NOT_FOUND, NULL_VALUE and OUTSIDE_MAX_AGE, each with `null`.
            case honest
            /// What Feast says with Redis as its store: PRESENT and `null` for all of them, and values however old.
            case feast
        }

        package var statuses = Statuses.honest
        /// `view__feature` instead of `feature`.
        package var fullFeatureNames = false
        /// With the name and version of each view.
        package var versionMetadata = false

        package init() {}
    }

    /// Appends the body of `/get-online-features`: column by column, the key columns first, then the features as asked.
    ///
    /// `now` is in microseconds since 1970. Returns how many values had which status.
    ///
    /// - Throws: `nameCollision` without full names; `tooLarge`, and what is in `buffer` then is of no use.
    @discardableResult
    package static func feast(
        _ plan: LookupPlan, _ keys: LookupKeys, _ rows: inout PackedRows, entities: EntityColumns, now: Int64,
        options: FeastOptions, into buffer: inout ByteBuffer
    ) throws(LookupError) -> LookupCounts {
        try checkNames(plan, isFull: options.fullFeatureNames)
        rows.decode(plan, keys, now: now, keepsStale: options.statuses == .feast)
        let start = buffer.writerIndex
        buffer.writeString("{\"results\":[")
        for column in entities.columns { try keyColumn(column.values, keys.entityCount, start, &buffer) }
        for column in plan.columns {
            let writer = FeastColumn(plan: plan, keys: keys, column: column, statuses: options.statuses)
            try write(writer.bound(rows), into: &buffer, from: start) { writer.write(rows, &$0) }
        }
        buffer.moveWriterIndex(to: buffer.writerIndex - 1)
        buffer.writeString("],\"metadata\":{\"feature_names\":[")
        var names = JSONBytes()
        for column in entities.columns {
            names.string(column.name)
            names.raw(",")
        }
        buffer.writeBytes(names.bytes)
        buffer.writeBytes(options.fullFeatureNames ? plan.texts.fullNames : plan.texts.bareNames)
        buffer.writeInteger(UInt8(ascii: "]"))
        if options.versionMetadata { buffer.writeBytes(plan.texts.viewMetadata) }
        buffer.writeString("}}")
        return rows.counts
    }

    private static func checkNames(_ plan: LookupPlan, isFull: Bool) throws(LookupError) {
        let repeated = isFull ? plan.fullCollisions : plan.bareCollisions
        guard repeated.isEmpty else {
            throw LookupError(
                "several features are named \(repeated.joined(separator: ", "))"
                    + (isFull ? "" : "; ask for full feature names"), code: .nameCollision)
        }
    }

    private static func keyColumn(
        _ values: EntityColumns.Values, _ count: Int, _ start: Int, _ buffer: inout ByteBuffer
    ) throws(LookupError) {
        let contents =
            switch values {
            case .none: 0
            case .integers: 0
            case .texts(let bytes, _): 6 * bytes.count
            case .bytes(let bytes, _): 2 * bytes.count
            }
        try write(64 + contents + count * 64, into: &buffer, from: start) { cursor in
            cursor.raw("{\"values\":[")
            for entity in 0..<count {
                if entity > 0 { cursor.byte(UInt8(ascii: ",")) }
                key(values, entity, &cursor)
            }
            cursor.raw("],\"statuses\":[")
            for entity in 0..<count { cursor.raw(entity == 0 ? "\"PRESENT\"" : ",\"PRESENT\"") }
            cursor.raw("],\"event_timestamps\":[")
            for entity in 0..<count {
                cursor.raw(entity == 0 ? "\"1970-01-01T00:00:00Z\"" : ",\"1970-01-01T00:00:00Z\"")
            }
            cursor.raw("]},")
        }
    }

    private static func key(_ values: EntityColumns.Values, _ entity: Int, _ cursor: inout JSONCursor) {
        switch values {
        case .none: break
        case .integers(let numbers): cursor.integer(numbers[entity])
        case .texts(let bytes, let ends):
            let range = (entity == 0 ? 0 : ends[entity - 1])..<ends[entity]
            unsafe bytes.withUnsafeBytes {
                unsafe cursor.string(UnsafeRawBufferPointer(rebasing: $0[range]), isPlain: false)
            }
        case .bytes(let bytes, let ends):
            let range = (entity == 0 ? 0 : ends[entity - 1])..<ends[entity]
            unsafe bytes.withUnsafeBytes { unsafe cursor.base64(UnsafeRawBufferPointer(rebasing: $0[range])) }
        }
    }
}

/// One feature of a body for Feast's clients.
private struct FeastColumn {
    let plan: LookupPlan
    let keys: LookupKeys
    let column: LookupPlan.Column
    let statuses: LookupEncoder.FeastOptions.Statuses

    private func place(_ entity: Int) -> Int {
        let part = plan.parts[column.part]
        return keys.entityCount * part.slotBase + entity * part.slotCount + column.slot
    }

    func bound(_ rows: borrowing PackedRows) -> Int {
        var bound = 64 + keys.entityCount * (column.feastBound + JSONBound.status + JSONBound.timestamp + 1)
        if column.isFixed { return bound }
        unsafe rows.withArena { arena in
            for entity in 0..<keys.entityCount where rows.marks[place(entity)] == ValueMark.present {
                bound += unsafe LookupEncoder.contentBound(rows.words[place(entity)], column, arena)
            }
        }
        return bound
    }

    func write(_ rows: borrowing PackedRows, _ cursor: inout JSONCursor) {
        cursor.raw("{\"values\":[")
        unsafe rows.withArena { arena in
            for entity in 0..<keys.entityCount {
                if entity > 0 { cursor.byte(UInt8(ascii: ",")) }
                let index = place(entity)
                switch rows.marks[index] {
                case ValueMark.present:
                    unsafe LookupEncoder.value(rows.words[index], column, arena, isFeast: true, &cursor)
                case ValueMark.defaulted: cursor.raw(column.feastDefault)
                default: cursor.raw("null")
                }
            }
        }
        cursor.raw("],\"statuses\":[")
        for entity in 0..<keys.entityCount {
            if entity > 0 { cursor.byte(UInt8(ascii: ",")) }
            status(rows.marks[place(entity)], &cursor)
        }
        cursor.raw("],\"event_timestamps\":[")
        for entity in 0..<keys.entityCount {
            if entity > 0 { cursor.byte(UInt8(ascii: ",")) }
            let facts = rows.facts[column.part * keys.entityCount + entity]
            cursor.timestamp(facts.hasEventTime ? facts.eventTime : 0)
        }
        cursor.raw("]},")
    }

    private func status(_ mark: UInt8, _ cursor: inout JSONCursor) {
        switch mark {
        case ValueMark.present, ValueMark.defaulted: cursor.raw("\"PRESENT\"")
        case ValueMark.failed: cursor.raw("\"INVALID\"")
        case _ where statuses == .feast: cursor.raw("\"PRESENT\"")
        case ValueMark.nullValue: cursor.raw("\"NULL_VALUE\"")
        case ValueMark.notFound: cursor.raw("\"NOT_FOUND\"")
        default: cursor.raw("\"OUTSIDE_MAX_AGE\"")
        }
    }
}
