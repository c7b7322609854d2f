import RowCodec

/// What was read of the rows of a request, for the encoders: memory of `PackedRows`, valid while it is borrowed.
///
/// Words and marks of (entity, slot) of a part are at `entityCount * slotBase + entity * slotCount + slot`, facts at
/// `part * entityCount + entity`; whoever asks for others reads what is not theirs.
@safe struct DecodedRows {
    // Indexes into buffers are checked in debug builds only.
    private let words: UnsafeBufferPointer<ValueWord>
    private let marks: UnsafeBufferPointer<UInt8>
    private let facts: UnsafeBufferPointer<PackedRows.RowFacts>
    let arena: UnsafeRawBufferPointer
    let entityCount: Int

    init(
        words: UnsafeBufferPointer<ValueWord>, marks: UnsafeBufferPointer<UInt8>,
        facts: UnsafeBufferPointer<PackedRows.RowFacts>, arena: UnsafeRawBufferPointer, entityCount: Int
    ) {
        unsafe self.words = words
        unsafe self.marks = marks
        unsafe self.facts = facts
        unsafe self.arena = arena
        self.entityCount = entityCount
    }

    @inline(__always)
    func word(_ index: Int) -> ValueWord { unsafe words[index] }

    @inline(__always)
    func mark(_ index: Int) -> UInt8 { unsafe marks[index] }

    @inline(__always)
    func facts(_ part: Int, _ entity: Int) -> PackedRows.RowFacts { unsafe facts[part &* entityCount &+ entity] }

    /// The bytes of a string or of bytes.
    @inline(__always)
    func contents(_ word: ValueWord) -> UnsafeRawBufferPointer {
        // The reader of the row has checked that they lie in the arena.
        unsafe UnsafeRawBufferPointer(start: arena.baseAddress.map { unsafe $0 + word.offset }, count: word.count)
    }

    /// A float64 that lies in the arena.
    @inline(__always)
    func rawDouble(_ word: ValueWord) -> Double {
        Double(bitPattern: unsafe arena.loadUnaligned(fromByteOffset: word.offset, as: UInt64.self).bigEndian)
    }

    /// An element of a vector.
    @inline(__always)
    func element(_ word: ValueWord, _ index: Int) -> Float {
        let offset = word.offset &+ 4 &* index
        return Float(bitPattern: unsafe arena.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian)
    }

    /// A walk over the elements of a list.
    func walk(_ word: ValueWord) -> RowWalk { unsafe RowWalk(bytes: arena, index: word.offset, end: arena.count) }

    /// How much longer than its column's bound the text of a value can be: what a list, a string or bytes hold.
    func contentBound(_ word: ValueWord, _ column: LookupPlan.Column) -> Int {
        switch column.kind {
        case .string: return word.isPlain ? word.count : 6 * word.count
        case .bytes: return (word.count + 2) / 3 * 4
        case .list: break
        default: return 0
        }
        let kind = ValueKind(column.element)
        let fixed = word.count * (JSONBound.value(kind, 0) + 1)
        guard kind == .string || kind == .bytes else { return fixed }
        var walk = walk(word)
        let start = walk.index
        for _ in 0..<word.count { guard walk.word(column.element) != nil else { break } }
        return fixed + 6 * (walk.index - start)
    }
}
