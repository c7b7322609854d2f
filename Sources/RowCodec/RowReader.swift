package import FeatureModel

/// Reads picked features of a view's rows into words, without making a value of them: what a lookup has time for.
///
/// It accepts and refuses what `RowDecoder.decode(_:key:picking:)` does. It takes any bytes: it never traps, and reads
/// nothing outside of the buffers that it is given. Immutable; a class, so that using it counts one reference.
package final class RowReader: Sendable {
    /// One feature of the view, as the walk meets it.
    private struct Step: Sendable {
        let kind: ValueKind
        /// Of a list.
        let element: ScalarType
        /// Where the word goes; -1 for a feature that nobody asked for.
        let slot: Int32
        /// Of a vector.
        let dimension: Int32
    }

    private let steps: [Step]
    private let schemaID: UInt16
    private let check: RowCheck
    /// How many features are picked.
    package let slotCount: Int

    /// Picks features by their index in the view, each at most once: a slot each, in that order.
    ///
    /// - Returns: `nil` when an index is outside of the view or given twice.
    package init?(view: FeatureView, picking features: [Int]) {
        var slots = [Int32](repeating: -1, count: view.features.count)
        for (slot, feature) in features.enumerated() {
            guard slots.indices.contains(feature), slots[feature] == -1 else { return nil }
            slots[feature] = Int32(slot)
        }
        steps = zip(view.features, slots).map { feature, slot in
            switch feature.type {
            case .scalar(let scalar): Step(kind: ValueKind(scalar), element: scalar, slot: slot, dimension: 0)
            case .list(let scalar): Step(kind: .list, element: scalar, slot: slot, dimension: 0)
            case .vector(let dimension):
                Step(kind: .vector, element: .float32, slot: slot, dimension: Int32(dimension))
            }
        }
        let fingerprint = view.schemaFingerprint
        schemaID = UInt16(truncatingIfNeeded: fingerprint)
        check = RowCheck(schemaFingerprint: fingerprint)
        slotCount = features.count
    }

    /// What a row says before its payload, checked.
    package struct Head: Sendable {
        package let eventTime: Int64?
        package let isTombstone: Bool
        package let isCompressed: Bool
        /// Where the payload begins in the row.
        package let payloadOffset: Int
    }

    /// Reads the head of a row and verifies the row's check; `nil` when anything is wrong with it.
    package func head(of row: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer) -> Head? {
        guard row.count >= RowFormat.minimumRowBytes, row.count <= RowFormat.maximumRowBytes else { return nil }
        let first = unsafe row[0]
        let flags = RowFlags(rawValue: first & 15)
        guard first >> 4 == RowFormat.version, flags.isPossible else { return nil }
        var checkOffset = RowFormat.eventTimeOffset
        var eventTime: Int64?
        if flags.contains(.eventTime) {
            guard row.count >= RowFormat.minimumRowBytes + RowFormat.eventTimeBytes else { return nil }
            let bits = unsafe row.loadUnaligned(fromByteOffset: checkOffset, as: UInt64.self).bigEndian
            eventTime = Int64(bitPattern: bits ^ (1 << 63))
            checkOffset += RowFormat.eventTimeBytes
        }
        // The row has at least a check and a schema id behind the event time.
        let bodyOffset = checkOffset + RowFormat.checkBytes
        let stored = unsafe row.loadUnaligned(fromByteOffset: checkOffset, as: UInt32.self).bigEndian
        let schema = unsafe row.loadUnaligned(fromByteOffset: bodyOffset, as: UInt16.self).bigEndian
        guard schema == schemaID, unsafe check.value(of: row, key: key, checkOffset: checkOffset) == stored else {
            return nil
        }
        let payloadOffset = bodyOffset + RowFormat.schemaBytes
        let isTombstone = flags.contains(.tombstone)
        let isCompressed = flags.contains(.compressed)
        guard !isTombstone || (!isCompressed && row.count == payloadOffset) else { return nil }
        return Head(
            eventTime: eventTime, isTombstone: isTombstone, isCompressed: isCompressed, payloadOffset: payloadOffset)
    }

    /// Unpacks the compressed payload at `range` of the arena behind the arena's end. Returns where it lies then; `nil`
    /// when it is damaged, or when the arena would exceed `limit` bytes.
    package static func unpack(_ range: Range<Int>, of arena: inout [UInt8], limit: Int) -> Range<Int>? {
        guard let payload = unpacked(range, of: arena, limit: limit) else { return nil }
        let start = arena.count
        arena += payload
        return start..<arena.count
    }

    private static func unpacked(_ range: Range<Int>, of arena: [UInt8], limit: Int) -> [UInt8]? {
        var index = range.lowerBound
        let row = arena.span.extracting(0..<range.upperBound)
        guard let size = try? readVarint(row, &index), size <= UInt64(RowFormat.maximumPayloadBytes),
            arena.count + Int(size) <= limit
        else { return nil }
        return LZ4Block.decompress(row.extracting(index..<range.upperBound), size: Int(size))
    }

    /// Reads the payload at `range` of the arena, which the caller vouches for: a word for each slot, and a mark of 1 where
    /// the value is `null`, else 0. Both have room for `slotCount`.
    ///
    /// - Returns: How many slots are `null`; `nil` when the payload is malformed, words and marks being anything then.
    package func payload(
        _ range: Range<Int>, of arena: UnsafeRawBufferPointer, words: UnsafeMutablePointer<ValueWord>,
        marks: UnsafeMutablePointer<UInt8>
    ) -> Int? {
        let bitmapEnd = range.lowerBound + (steps.count + 7) / 8
        guard bitmapEnd <= range.upperBound else { return nil }
        let used = UInt8(steps.count & 7)
        guard unsafe used == 0 || arena[bitmapEnd - 1] >> used == 0 else { return nil }
        var walk = unsafe RowWalk(bytes: arena, index: bitmapEnd, end: range.upperBound)
        var nulls = 0
        let steps = steps
        for position in steps.indices {
            let step = unsafe steps.span[unchecked: position]
            let isNull = unsafe arena[range.lowerBound + position >> 3] >> UInt8(position & 7) & 1 == 1
            if isNull {
                guard step.slot >= 0 else { continue }
                unsafe marks[Int(step.slot)] = 1
                nulls += 1
            } else if step.slot >= 0 {
                guard let word = walk.word(step.kind, step.element, Int(step.dimension)) else { return nil }
                unsafe words[Int(step.slot)] = word
                unsafe marks[Int(step.slot)] = 0
            } else {
                guard walk.skip(step.kind, step.element, Int(step.dimension)) else { return nil }
            }
        }
        return walk.index == range.upperBound ? nulls : nil
    }
}

extension ValueKind {
    /// The kind of a scalar.
    package init(_ scalar: ScalarType) {
        self =
            switch scalar {
            case .bool: .bool
            case .int32: .int32
            case .int64: .int64
            case .timestamp: .timestamp
            case .float32: .float32
            case .float64: .float64
            case .string: .string
            case .bytes: .bytes
            }
    }
}
