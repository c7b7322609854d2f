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
        try rows.withDecoded(keys) { (decoded) throws(LookupError) in
            let tails = FeastTails(plan, decoded)
            for column in entities.columns { try keyColumn(column.values, keys.entityCount, tails, start, &buffer) }
            let writer = FeastColumns(plan: plan, rows: decoded, tails: tails, statuses: options.statuses)
            var column = 0
            while column < plan.columns.count {
                let block = writer.block(from: column)
                try write(block.bound, into: &buffer, from: start) { cursor in
                    for index in column..<block.end { writer.write(index, &cursor) }
                }
                column = block.end
            }
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
        _ values: EntityColumns.Values, _ count: Int, _ tails: FeastTails, _ start: Int, _ buffer: inout ByteBuffer
    ) throws(LookupError) {
        let contents =
            switch values {
            case .none: 0
            case .integers: 0
            case .texts(let bytes, _): 6 * bytes.count
            case .bytes(let bytes, _): 2 * bytes.count
            }
        try write(16 + contents + count * 24 + tails.bound(-1, count), into: &buffer, from: start) { cursor in
            cursor.raw("{\"values\":[")
            for entity in 0..<count {
                if entity > 0 { cursor.byte(UInt8(ascii: ",")) }
                key(values, entity, &cursor)
            }
            tails.write(-1, &cursor)
        }
    }

    private static func key(_ values: EntityColumns.Values, _ entity: Int, _ cursor: inout JSONWriter) {
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

/// The features of a body for Feast's clients.
private struct FeastColumns {
    let plan: LookupPlan
    let rows: DecodedRows
    let tails: FeastTails
    let statuses: LookupEncoder.FeastOptions.Statuses

    /// The columns from `first` on that make a block: at least one.
    func block(from first: Int) -> (end: Int, bound: Int) {
        var (end, bound) = (first, 0)
        while end < plan.columns.count, bound < LookupEncoder.blockBytes {
            bound += self.bound(plan.columns[end])
            end += 1
        }
        return (end, bound)
    }

    private func bound(_ column: LookupPlan.Column) -> Int {
        let count = rows.entityCount
        var bound = 16 + count * Int(column.feastBound) + tails.bound(Int(column.part), count)
        guard !column.isFixed else { return bound }
        var index = column.start(count)
        for _ in 0..<count {
            if rows.mark(index) == ValueMark.present { bound += rows.contentBound(rows.word(index), column) }
            index += Int(column.slotCount)
        }
        return bound
    }

    @inline(__always)
    func write(_ index: Int, _ cursor: inout JSONWriter) {
        let column = plan.columns[index]
        cursor.raw("{\"values\":[")
        if tails.isWhole[Int(column.part)] {
            wholeValues(column, &cursor)
            // The comma behind the last value goes; the tail begins with the bracket.
            if rows.entityCount > 0 { cursor.dropComma() }
            tails.write(Int(column.part), &cursor)
        } else {
            values(column, index, &cursor)
            if rows.entityCount > 0 { cursor.dropComma() }
            writeStatuses(column, &cursor)
            tails.writeTimestamps(Int(column.part), &cursor)
        }
    }

    private func wholeValues(_ column: LookupPlan.Column, _ cursor: inout JSONWriter) {
        var place = column.start(rows.entityCount)
        for _ in 0..<rows.entityCount {
            LookupEncoder.value(rows.word(place), column, rows, isFeast: true, &cursor)
            cursor.byte(UInt8(ascii: ","))
            place &+= Int(column.slotCount)
        }
    }

    private func values(_ column: LookupPlan.Column, _ index: Int, _ cursor: inout JSONWriter) {
        var place = column.start(rows.entityCount)
        for _ in 0..<rows.entityCount {
            switch rows.mark(place) {
            case ValueMark.present: LookupEncoder.value(rows.word(place), column, rows, isFeast: true, &cursor)
            case ValueMark.defaulted: cursor.raw(plan.defaults[index].feast)
            default: cursor.raw("null")
            }
            cursor.byte(UInt8(ascii: ","))
            place &+= Int(column.slotCount)
        }
    }

    private func writeStatuses(_ column: LookupPlan.Column, _ cursor: inout JSONWriter) {
        cursor.raw("],\"statuses\":[")
        var place = column.start(rows.entityCount)
        for _ in 0..<rows.entityCount {
            status(rows.mark(place), &cursor)
            place &+= Int(column.slotCount)
        }
        cursor.endList(isEmpty: rows.entityCount == 0)
    }

    @inline(__always)
    private func status(_ mark: UInt8, _ cursor: inout JSONWriter) {
        switch mark {
        case ValueMark.present, ValueMark.defaulted: cursor.raw("\"PRESENT\",")
        case ValueMark.failed: cursor.raw("\"INVALID\",")
        case _ where statuses == .feast: cursor.raw("\"PRESENT\",")
        case ValueMark.nullValue: cursor.raw("\"NULL_VALUE\",")
        case ValueMark.notFound: cursor.raw("\"NOT_FOUND\",")
        default: cursor.raw("\"OUTSIDE_MAX_AGE\",")
        }
    }
}
