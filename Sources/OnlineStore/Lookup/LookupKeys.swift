package import FeatureModel
package import NIOCore
import RowCodec

/// The keys of one request: for each kind of entity its canonical entity keys, one behind the other.
package struct LookupKeys: Sendable {
    /// How many entities the request names.
    package let entityCount: Int
    /// How many rows are read: views times entities. Row `part * entityCount + entity` is of that view and entity.
    package let rowCount: Int
    /// All keys, group by group.
    private(set) var bytes: [UInt8] = []
    /// Where each key ends; the keys of group g are at `g * entityCount`.
    private(set) var ends: [UInt32] = []

    /// Makes the keys of a request's entities.
    ///
    /// A request without any column is one for no entities.
    ///
    /// - Throws: when a key column is missing, short or of another type, when a key is too long, and when the request exceeds
    ///   `LookupLimits`.
    package init(_ plan: LookupPlan, _ entities: EntityColumns) throws(LookupError) {
        entityCount = entities.count
        rowCount = plan.parts.count * entityCount
        guard entityCount <= LookupLimits.values / plan.columns.count, rowCount <= LookupLimits.rows else {
            throw LookupError(
                "\(entityCount) entities × \(plan.columns.count) features are over the limit of "
                    + "\(LookupLimits.values) values or \(LookupLimits.rows) rows a request", code: .tooLarge)
        }
        for column in entities.columns where column.values.count != entityCount {
            throw LookupError("the key columns have different numbers of values")
        }
        guard entityCount > 0 || entities.columnCount > 0 else { return }
        ends.reserveCapacity(plan.keyGroups.count * entityCount)
        bytes.reserveCapacity(plan.keyGroups.count * entityCount * 12)
        for group in plan.keyGroups { try append(group, entities) }
    }

    private mutating func append(_ group: Entity, _ entities: EntityColumns) throws(LookupError) {
        var columns: [EntityColumns.Values] = []
        for key in group.keys {
            guard let column = entities.columns.first(where: { $0.name == key.name }) else {
                throw LookupError("entity 0 has no \(key.name), a key of \(group.name)")
            }
            columns.append(try KeyColumn.checked(column.values, key))
        }
        if columns.count == 1, case .integers(let numbers) = columns[0] { return append(numbers) }
        for entity in 0..<entityCount {
            let start = bytes.count
            for (index, column) in columns.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                KeyColumn.append(column, entity, to: &bytes)
                guard bytes.count - start <= EntityKey.maximumBytes else {
                    throw LookupError(
                        "entity \(entity): the key of \(group.name) is over \(EntityKey.maximumBytes) bytes")
                }
            }
            guard bytes.count <= Int(Int32.max) else {
                throw LookupError("the keys are too long together", code: .tooLarge)
            }
            ends.append(UInt32(bytes.count))
        }
    }

    private mutating func append(_ numbers: [Int64]) {
        for number in numbers {
            KeyColumn.append(number, to: &bytes)
            ends.append(UInt32(bytes.count))
        }
    }

    /// Where in `bytes` the key of an entity lies.
    @inline(__always)
    func range(group: Int, _ entity: Int) -> Range<Int> {
        let index = group &* entityCount &+ entity
        return (index == 0 ? 0 : Int(ends[index &- 1]))..<Int(ends[index])
    }

    /// The keys of one view's rows, for stores that take keys.
    package func entityKeys(of part: Int, in plan: LookupPlan) -> [EntityKey] {
        (0..<entityCount).map { entity in
            EntityKey(
                canonical: String(decoding: bytes[range(group: plan.parts[part].keyGroup, entity)], as: UTF8.self))
        }
    }

    /// Writes MGET commands for all rows, in the order of the rows, `LookupLimits.keysPerCommand` each. Returns how many.
    package func writeMGET(_ plan: LookupPlan, into buffer: inout ByteBuffer) -> Int {
        guard rowCount > 0 else { return 0 }
        let commands = (rowCount + LookupLimits.keysPerCommand - 1) / LookupLimits.keysPerCommand
        _ = unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: commandBound(plan, commands)) { room in
            var cursor = unsafe JSONWriter(room)
            unsafe bytes.withUnsafeBytes { unsafe write(plan, $0, &cursor) }
            return unsafe cursor.count(from: room)
        }
        return commands
    }

    private func write(_ plan: LookupPlan, _ bytes: UnsafeRawBufferPointer, _ cursor: inout JSONWriter) {
        var row = 0
        var untilCommand = 0
        for part in plan.parts {
            let around = part.keyPrefix.count + part.keySuffix.count - 2
            for entity in 0..<entityCount {
                if untilCommand == 0 {
                    untilCommand = min(LookupLimits.keysPerCommand, rowCount - row)
                    cursor.byte(UInt8(ascii: "*"))
                    cursor.integer(Int64(untilCommand + 1))
                    cursor.raw("\r\n$4\r\nMGET\r\n")
                }
                let key = range(group: part.keyGroup, entity)
                cursor.byte(UInt8(ascii: "$"))
                cursor.integer(Int64(around + key.count))
                cursor.raw("\r\n")
                cursor.raw(part.keyPrefix)
                unsafe cursor.raw(UnsafeRawBufferPointer(rebasing: bytes[key]))
                cursor.raw(part.keySuffix)
                row += 1
                untilCommand -= 1
            }
        }
    }

    /// An upper bound for the bytes of all commands.
    private func commandBound(_ plan: LookupPlan, _ commands: Int) -> Int {
        let fixed = plan.parts.reduce(0) { $0 + $1.keyPrefix.count + $1.keySuffix.count + 24 }
        return commands * 40 + entityCount * fixed + plan.parts.count * bytes.count
    }
}

/// Key columns into the canonical spelling of `EntityKey`.
enum KeyColumn {
    /// The values, of the type of the key.
    static func checked(_ values: EntityColumns.Values, _ key: Entity.Key) throws(LookupError) -> EntityColumns.Values {
        switch (key.type, values) {
        case (_, .none), (.int64, .integers), (.string, .texts), (.bytes, .bytes):
            return values
        case (.int32, .integers(let numbers)):
            if let entity = numbers.firstIndex(where: { Int32(exactly: $0) == nil }) {
                throw LookupError("entity \(entity): \(key.name) is out of the range of an int32")
            }
            return values
        case (.bytes, .texts(let bytes, let ends)):
            return try decoded(bytes, ends, key)
        default:
            throw LookupError("\(key.name) is not of its type, \(key.type.rawValue)")
        }
    }

    /// JSON has no bytes: a text for such a key is their Base64.
    private static func decoded(
        _ text: [UInt8], _ ends: [Int], _ key: Entity.Key
    ) throws(LookupError) -> EntityColumns.Values {
        var (all, allEnds, start): ([UInt8], [Int], Int) = ([], [], 0)
        for (entity, end) in ends.enumerated() {
            guard let bytes = Base64.decode(text[start..<end]) else {
                throw LookupError("entity \(entity): \(key.name) is no Base64 with padding")
            }
            all += bytes
            allEnds.append(all.count)
            start = end
        }
        return .bytes(all, ends: allEnds)
    }

    static func append(_ values: EntityColumns.Values, _ entity: Int, to spelling: inout [UInt8]) {
        switch values {
        case .none: break
        case .integers(let numbers): append(numbers[entity], to: &spelling)
        case .texts(let bytes, let ends), .bytes(let bytes, let ends):
            let start = entity == 0 ? 0 : ends[entity - 1]
            EntityKey.escape(bytes[start..<ends[entity]], into: &spelling)
        }
    }

    static func append(_ number: Int64, to spelling: inout [UInt8]) {
        // A number has 20 characters at most.
        spelling.append(addingCapacity: 20) { output in
            _ = unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                guard let base = buffer.baseAddress else { return }
                let start = unsafe base + count
                count += unsafe NumberText.write(number, start) - start
            }
        }
    }
}
