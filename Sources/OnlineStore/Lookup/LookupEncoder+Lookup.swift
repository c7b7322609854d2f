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
        for entity in 0..<keys.entityCount {
            let row = LookupRow(plan: plan, keys: keys, entity: entity, now: now)
            try write(row.bound(rows, ages: ages), into: &buffer, from: start) { cursor in
                if entity > 0 { cursor.byte(UInt8(ascii: ",")) }
                row.write(rows, ages: ages, &cursor)
            }
        }
        try tail(plan, rows, from: start, into: &buffer)
        return rows.counts
    }

    private static func tail(
        _ plan: LookupPlan, _ rows: borrowing PackedRows, from start: Int, into buffer: inout ByteBuffer
    ) throws(LookupError) {
        buffer.writeBytes(plan.texts.lookupTail)
        if !rows.failures.isEmpty {
            let failures = rows.failures.map { (plan.parts[$0.part].view.name, $0.reason) }.sorted { $0.0 < $1.0 }
            var text = JSONBytes()
            text.raw(",\"degraded\":{\"stage\":\"store\",\"views\":{")
            text.list(failures) {
                $0.string($1.0)
                $0.raw(":")
                $0.string($1.1)
            }
            text.raw("}}")
            buffer.writeBytes(text.bytes)
        }
        buffer.writeInteger(UInt8(ascii: "}"))
    }
}

/// One row of the body of `/v1/lookup`.
private struct LookupRow {
    let plan: LookupPlan
    let keys: LookupKeys
    let entity: Int
    let now: Int64

    func bound(_ rows: borrowing PackedRows, ages: Bool) -> Int {
        var bound = 64 + plan.columns.count * (JSONBound.status + (ages ? JSONBound.seconds + 1 : 0))
        unsafe rows.withArena { arena in
            for column in plan.columns {
                bound += column.lookupBound
                let index = place(column)
                if !column.isFixed, rows.marks[index] == ValueMark.present {
                    bound += unsafe contentBound(rows.words[index], column, arena)
                }
            }
        }
        return bound
    }

    private func contentBound(
        _ word: ValueWord, _ column: LookupPlan.Column, _ arena: UnsafeRawBufferPointer
    ) -> Int {
        unsafe LookupEncoder.contentBound(word, column, arena)
    }

    private func place(_ column: LookupPlan.Column) -> Int {
        let part = plan.parts[column.part]
        return keys.entityCount * part.slotBase + entity * part.slotCount + column.slot
    }

    func write(_ rows: borrowing PackedRows, ages: Bool, _ cursor: inout JSONCursor) {
        cursor.raw("{\"values\":[")
        unsafe rows.withArena { arena in
            for column in plan.columns {
                let index = place(column)
                let mark = rows.marks[index]
                if mark == ValueMark.present {
                    unsafe LookupEncoder.value(rows.words[index], column, arena, isFeast: false, &cursor)
                } else if mark == ValueMark.defaulted {
                    cursor.raw(column.lookupDefault)
                } else {
                    cursor.raw("null")
                }
                cursor.byte(UInt8(ascii: ","))
            }
        }
        cursor.dropLast()
        cursor.byte(UInt8(ascii: "]"))
        let isWhole = plan.parts.indices.allSatisfy { rows.facts[$0 * keys.entityCount + entity].isWhole }
        if !isWhole { statuses(rows, &cursor) }
        if ages { self.ages(rows, &cursor) }
        cursor.byte(UInt8(ascii: "}"))
    }

    private func statuses(_ rows: borrowing PackedRows, _ cursor: inout JSONCursor) {
        // A row that is not whole may still have only values that are asked for and PRESENT.
        guard plan.columns.contains(where: { rows.marks[place($0)] != ValueMark.present }) else { return }
        cursor.raw(",\"statuses\":[")
        for column in plan.columns {
            switch rows.marks[place(column)] {
            case ValueMark.present: cursor.raw("\"PRESENT\",")
            case ValueMark.nullValue: cursor.raw("\"NULL_VALUE\",")
            case ValueMark.notFound: cursor.raw("\"NOT_FOUND\",")
            case ValueMark.outsideMaxAge: cursor.raw("\"OUTSIDE_MAX_AGE\",")
            case ValueMark.defaulted: cursor.raw("\"DEFAULTED\",")
            default: cursor.raw("\"FAILED\",")
            }
        }
        cursor.dropLast()
        cursor.byte(UInt8(ascii: "]"))
    }

    private func ages(_ rows: borrowing PackedRows, _ cursor: inout JSONCursor) {
        cursor.raw(",\"ages\":[")
        for column in plan.columns {
            let facts = rows.facts[column.part * keys.entityCount + entity]
            if facts.hasEventTime {
                cursor.seconds(PackedRows.age(facts.eventTime, now))
            } else {
                cursor.raw("null")
            }
            cursor.byte(UInt8(ascii: ","))
        }
        cursor.dropLast()
        cursor.byte(UInt8(ascii: "]"))
    }
}
