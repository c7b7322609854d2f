import FeatureModel
import NIOCore
import RowCodec

/// The JSON bodies of lookups, written straight into a buffer.
package enum LookupEncoder {
    /// Writes at most `bound` bytes, as many as `body` does.
    @inline(__always)
    static func write(
        _ bound: Int, into buffer: inout ByteBuffer, from start: Int, _ body: (inout JSONCursor) -> Void
    ) throws(LookupError) {
        guard buffer.writerIndex - start + bound <= LookupLimits.bodyBytes else {
            throw LookupError("the answer is over \(LookupLimits.bodyBytes) bytes", code: .tooLarge)
        }
        _ = unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { room in
            var cursor = unsafe JSONCursor(room)
            body(&cursor)
            return unsafe cursor.count(from: room)
        }
    }

    /// Writes one value that is PRESENT.
    @inline(__always)
    static func value(
        _ word: ValueWord, _ column: borrowing LookupPlan.Column, _ arena: UnsafeRawBufferPointer, isFeast: Bool,
        _ cursor: inout JSONCursor
    ) {
        switch column.kind {
        case .bool: if word.bits == 0 { cursor.raw("false") } else { cursor.raw("true") }
        case .int32, .int64: cursor.integer(word.integer)
        case .float64: unsafe double(word, arena, &cursor)
        case .float32: if isFeast { cursor.double(Double(word.float)) } else { cursor.float(word.float) }
        case .timestamp:
            if isFeast { cursor.integer(FeastTime.seconds(word.integer)) } else { cursor.timestamp(word.integer) }
        case .string:
            unsafe cursor.string(
                UnsafeRawBufferPointer(rebasing: arena[word.offset..<word.offset + word.count]), isPlain: word.isPlain)
        case .bytes:
            unsafe cursor.base64(UnsafeRawBufferPointer(rebasing: arena[word.offset..<word.offset + word.count]))
        case .list: unsafe list(word, column.element, arena, isFeast: isFeast, &cursor)
        case .vector: unsafe vector(word, column.dimension, arena, isFeast: isFeast, &cursor)
        }
    }

    @inline(__always)
    private static func double(_ word: ValueWord, _ arena: UnsafeRawBufferPointer, _ cursor: inout JSONCursor) {
        guard word.isRawDouble else { return cursor.decimal(word) }
        let bits = unsafe arena.loadUnaligned(fromByteOffset: word.offset, as: UInt64.self).bigEndian
        cursor.double(Double(bitPattern: bits))
    }

    private static func list(
        _ word: ValueWord, _ element: ScalarType, _ arena: UnsafeRawBufferPointer, isFeast: Bool,
        _ cursor: inout JSONCursor
    ) {
        let column = LookupPlan.Column(element: element)
        var walk = unsafe RowWalk(bytes: arena, index: word.offset, end: arena.count)
        cursor.byte(UInt8(ascii: "["))
        for index in 0..<word.count {
            // The elements were checked when the row was read.
            guard let element = walk.word(element) else { break }
            if index > 0 { cursor.byte(UInt8(ascii: ",")) }
            unsafe value(element, column, arena, isFeast: isFeast, &cursor)
        }
        cursor.byte(UInt8(ascii: "]"))
    }

    private static func vector(
        _ word: ValueWord, _ dimension: Int, _ arena: UnsafeRawBufferPointer, isFeast: Bool,
        _ cursor: inout JSONCursor
    ) {
        cursor.byte(UInt8(ascii: "["))
        for index in 0..<dimension {
            if index > 0 { cursor.byte(UInt8(ascii: ",")) }
            let bits = unsafe arena.loadUnaligned(fromByteOffset: word.offset + 4 * index, as: UInt32.self).littleEndian
            let number = Float(bitPattern: bits)
            if isFeast { cursor.double(Double(number)) } else { cursor.float(number) }
        }
        cursor.byte(UInt8(ascii: "]"))
    }

    /// How much longer than its column's bound the text of a value can be: what a list, a string or bytes hold.
    static func contentBound(
        _ word: ValueWord, _ column: borrowing LookupPlan.Column, _ arena: UnsafeRawBufferPointer
    ) -> Int {
        switch column.kind {
        case .string: return word.isPlain ? word.count : 6 * word.count
        case .bytes: return (word.count + 2) / 3 * 4
        case .list: break
        default: return 0
        }
        let kind = ValueKind(column.element)
        let fixed = word.count * (JSONBound.value(kind, 0) + 1)
        guard kind == .string || kind == .bytes else { return fixed }
        var walk = unsafe RowWalk(bytes: arena, index: word.offset, end: arena.count)
        let start = walk.index
        for _ in 0..<word.count { guard walk.word(column.element) != nil else { break } }
        return fixed + 6 * (walk.index - start)
    }
}

extension LookupPlan.Column {
    /// Whether the text of a value is bounded by the type alone.
    var isFixed: Bool {
        switch kind {
        case .string, .bytes, .list: false
        default: true
        }
    }

    /// Stands for the elements of a list.
    fileprivate init(element: ScalarType) {
        self.init(
            part: 0, slot: 0, kind: ValueKind(element), element: element, dimension: 0, lookupBound: 0, feastBound: 0,
            lookupDefault: [], feastDefault: [])
    }
}
