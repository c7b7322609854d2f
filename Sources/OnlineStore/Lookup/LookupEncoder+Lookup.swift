import FeatureModel
package import NIOCore
import RowCodec

extension LookupEncoder {
    /// Appends the body of `/v1/lookup`: row by row, statuses only in rows where some value is not PRESENT.
    ///
    /// `now` is in microseconds since 1970. Returns how many values had which status.
    ///
    /// - Throws: `tooLarge`; what is in `buffer` then is of no use.
    @discardableResult
    package static func lookup(
        _ plan: LookupPlan, _ keys: LookupKeys, _ rows: inout PackedRows, now: Int64, ages: Bool,
        into buffer: inout ByteBuffer
    ) throws(LookupError) -> LookupCounts {
        rows.decode(plan, keys, now: now, keepsStale: false)
        let start = buffer.writerIndex
        buffer.writeBytes(plan.texts.lookupHead)
        try rows.withDecoded(keys) { (decoded) throws(LookupError) in
            let writer = LookupRows(plan: plan, rows: decoded, now: now, ages: ages)
            var entity = 0
            while entity < keys.entityCount {
                let block = writer.block(from: entity)
                try write(block.bound, into: &buffer, from: start) { cursor in
                    writer.write(entity..<block.end, &cursor)
                }
                entity = block.end
            }
        }
        // The comma behind the last row.
        if keys.entityCount > 0 { buffer.moveWriterIndex(to: buffer.writerIndex - 1) }
        buffer.writeBytes(plan.texts.lookupTail)
        if !rows.failures.isEmpty { buffer.writeBytes(degraded(plan, rows)) }
        buffer.writeInteger(UInt8(ascii: "}"))
        return rows.counts
    }

    private static func degraded(_ plan: LookupPlan, _ rows: borrowing PackedRows) -> [UInt8] {
        let failures = rows.failures.map { (plan.parts[$0.part].view.name, $0.reason) }.sorted { $0.0 < $1.0 }
        var text = JSONBytes()
        text.raw(",\"degraded\":{\"stage\":\"store\",\"views\":{")
        text.list(failures) {
            $0.string($1.0)
            $0.raw(":")
            $0.string($1.1)
        }
        text.raw("}}")
        return text.bytes
    }
}

/// The rows of the body of `/v1/lookup`.
private struct LookupRows {
    let plan: LookupPlan
    let rows: DecodedRows
    let now: Int64
    let ages: Bool

    /// The rows from `first` on that make a block: at least one.
    func block(from first: Int) -> (end: Int, bound: Int) {
        let fixed = plan.lookupRowBound + (ages ? plan.columns.count * (JSONBound.seconds + 1) : 0)
        guard !plan.looseColumns.isEmpty else {
            let count = min(rows.entityCount - first, max(1, LookupEncoder.blockBytes / fixed))
            return (first + count, count * fixed)
        }
        var (end, bound) = (first, 0)
        while end < rows.entityCount, bound < LookupEncoder.blockBytes {
            bound += fixed + contentBound(end)
            end += 1
        }
        return (end, bound)
    }

    private func contentBound(_ entity: Int) -> Int {
        var bound = 0
        for column in plan.looseColumns {
            let index = place(column, entity)
            if rows.mark(index) == ValueMark.present { bound += rows.contentBound(rows.word(index), column) }
        }
        return bound
    }

    @inline(__always)
    private func place(_ column: LookupPlan.Column, _ entity: Int) -> Int {
        column.start(rows.entityCount) &+ entity &* Int(column.slotCount)
    }

    /// Rows with a comma behind each.
    func write(_ entities: Range<Int>, _ cursor: inout JSONWriter) {
        let list = plan.columns
        let columns = list.span
        for entity in entities {
            cursor.raw("{\"values\":[")
            let isWhole = plan.parts.indices.allSatisfy { rows.facts($0, entity).isWhole }
            if isWhole {
                for index in columns.indices {
                    let column = columns[index]
                    LookupEncoder.value(rows.word(place(column, entity)), column, rows, isFeast: false, &cursor)
                    cursor.byte(UInt8(ascii: ","))
                }
            } else {
                values(entity, columns, &cursor)
            }
            cursor.endList()
            if !isWhole { statuses(entity, columns, &cursor) }
            if ages { writeAges(entity, columns, &cursor) }
            cursor.raw("},")
        }
    }

    private func values(_ entity: Int, _ columns: Span<LookupPlan.Column>, _ cursor: inout JSONWriter) {
        for index in columns.indices {
            let column = columns[index]
            let place = place(column, entity)
            switch rows.mark(place) {
            case ValueMark.present: LookupEncoder.value(rows.word(place), column, rows, isFeast: false, &cursor)
            case ValueMark.defaulted: cursor.raw(plan.defaults[index].lookup)
            default: cursor.raw("null")
            }
            cursor.byte(UInt8(ascii: ","))
        }
    }

    private func statuses(_ entity: Int, _ columns: Span<LookupPlan.Column>, _ cursor: inout JSONWriter) {
        cursor.raw(",\"statuses\":[")
        for index in columns.indices {
            switch rows.mark(place(columns[index], entity)) {
            case ValueMark.present: cursor.raw("\"PRESENT\",")
            case ValueMark.nullValue: cursor.raw("\"NULL_VALUE\",")
            case ValueMark.notFound: cursor.raw("\"NOT_FOUND\",")
            case ValueMark.outsideMaxAge: cursor.raw("\"OUTSIDE_MAX_AGE\",")
            case ValueMark.defaulted: cursor.raw("\"DEFAULTED\",")
            default: cursor.raw("\"FAILED\",")
            }
        }
        cursor.endList()
    }

    private func writeAges(_ entity: Int, _ columns: Span<LookupPlan.Column>, _ cursor: inout JSONWriter) {
        cursor.raw(",\"ages\":[")
        for index in columns.indices {
            let facts = rows.facts(Int(columns[index].part), entity)
            if facts.hasEventTime {
                cursor.seconds(PackedRows.age(facts.eventTime, now))
            } else {
                cursor.raw("null")
            }
            cursor.byte(UInt8(ascii: ","))
        }
        cursor.endList()
    }
}
