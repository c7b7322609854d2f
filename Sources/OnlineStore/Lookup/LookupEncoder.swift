import FeatureModel
import NIOCore
import RowCodec

/// The JSON bodies of lookups, written straight into a buffer: in blocks, each with an upper bound of its length.
package enum LookupEncoder {
    /// Blocks are filled up to about this many bytes.
    static let blockBytes = 32 << 10

    /// Writes at most `bound` bytes, as many as `body` does. `start` is where the body of the answer begins.
    @inline(__always)
    static func write(
        _ bound: Int, into buffer: inout ByteBuffer, from start: Int, _ body: (inout JSONWriter) -> Void
    ) throws(LookupError) {
        guard buffer.writerIndex - start + bound <= LookupLimits.bodyBytes else {
            throw LookupError("the answer is over \(LookupLimits.bodyBytes) bytes", code: .tooLarge)
        }
        _ = unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { room in
            var cursor = unsafe JSONWriter(room)
            body(&cursor)
            return unsafe cursor.count(from: room)
        }
    }

    /// Writes one value that is PRESENT.
    @inline(__always)
    static func value(
        _ word: ValueWord, _ column: LookupPlan.Column, _ rows: DecodedRows, isFeast: Bool, _ cursor: inout JSONWriter
    ) {
        switch column.kind {
        case .int32, .int64: cursor.integer(word.integer)
        case .float64: if word.isRawDouble { cursor.double(rows.rawDouble(word)) } else { cursor.decimal(word) }
        case .string: unsafe cursor.string(rows.contents(word), isPlain: word.isPlain)
        default: other(word, column, rows, isFeast: isFeast, &cursor)
        }
    }

    private static func other(
        _ word: ValueWord, _ column: LookupPlan.Column, _ rows: DecodedRows, isFeast: Bool, _ cursor: inout JSONWriter
    ) {
        switch column.kind {
        case .bool: if word.bits == 0 { cursor.raw("false") } else { cursor.raw("true") }
        case .float32: if isFeast { cursor.double(Double(word.float)) } else { cursor.float(word.float) }
        case .timestamp:
            if isFeast { cursor.integer(FeastTime.seconds(word.integer)) } else { cursor.timestamp(word.integer) }
        case .bytes: unsafe cursor.base64(rows.contents(word))
        case .list: list(word, column.element, rows, isFeast: isFeast, &cursor)
        case .vector: vector(word, Int(column.dimension), rows, isFeast: isFeast, &cursor)
        case .int32, .int64, .float64, .string: value(word, column, rows, isFeast: isFeast, &cursor)
        }
    }

    private static func list(
        _ word: ValueWord, _ element: ScalarType, _ rows: DecodedRows, isFeast: Bool, _ cursor: inout JSONWriter
    ) {
        let column = LookupPlan.Column(element: element)
        var walk = rows.walk(word)
        cursor.byte(UInt8(ascii: "["))
        for index in 0..<word.count {
            // The elements were checked when the row was read.
            guard let element = walk.word(element) else { break }
            if index > 0 { cursor.byte(UInt8(ascii: ",")) }
            value(element, column, rows, isFeast: isFeast, &cursor)
        }
        cursor.byte(UInt8(ascii: "]"))
    }

    private static func vector(
        _ word: ValueWord, _ dimension: Int, _ rows: DecodedRows, isFeast: Bool, _ cursor: inout JSONWriter
    ) {
        cursor.byte(UInt8(ascii: "["))
        for index in 0..<dimension {
            if index > 0 { cursor.byte(UInt8(ascii: ",")) }
            let number = rows.element(word, index)
            if isFeast { cursor.double(Double(number)) } else { cursor.float(number) }
        }
        cursor.byte(UInt8(ascii: "]"))
    }
}

extension LookupPlan.Column {
    /// Stands for the elements of a list.
    fileprivate init(element: ScalarType) {
        self.init(
            kind: ValueKind(element), element: element, part: 0, slot: 0, slotBase: 0, slotCount: 0, dimension: 0,
            lookupBound: 0, feastBound: 0)
    }
}
