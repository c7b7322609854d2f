package import FeatureModel

/// The numbers of the packed row. `schemas/row-format.md` states the layout.
package enum RowFormat {
    /// The format version in the high nibble of byte 0.
    package static let version: UInt8 = 1
    /// The longest packed row, in bytes.
    package static let maximumRowBytes = 1 << 20
    /// The longest payload before compression, in bytes.
    package static let maximumPayloadBytes = 1 << 20
    /// Shorter payloads, in bytes, are never compressed.
    package static let compressionThreshold = 512
    /// The shortest packed row: a header without event time, and a schema id.
    package static let minimumRowBytes = eventTimeOffset + checkBytes + schemaBytes

    /// The version of the LZ4 library in use, such as 10904 for 1.9.4; for the start-up log.
    package static var compressionLibraryVersion: Int { LZ4Block.libraryVersion }

    static let eventTimeOffset = 11
    static let eventTimeBytes = 8
    static let checkBytes = 4
    static let schemaBytes = 2
}

/// What the low nibble of byte 0 says.
package struct RowFlags: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The entity has no row any more.
    package static let tombstone = RowFlags(rawValue: 1)
    /// Bytes 11 to 18 are the event time.
    package static let eventTime = RowFlags(rawValue: 2)
    /// The payload is one LZ4 block.
    package static let compressed = RowFlags(rawValue: 4)
    /// A caller pushed the row past the source; its epoch and position are those of the row it replaced. Only with an event
    /// time.
    package static let pushed = RowFlags(rawValue: 8)

    private static let known: RowFlags = [.tombstone, .eventTime, .compressed, .pushed]

    /// Whether a row can have them: all are known, and nothing is pushed without an event time.
    var isPossible: Bool { isSubset(of: .known) && (!contains(.pushed) || contains(.eventTime)) }

    /// What tells rows of one order and payload apart.
    package var content: RowFlags { subtracting(.pushed) }
}

/// The head of a packed row, read without its check: enough to decide which of two rows is newer.
package struct RowHeader: Sendable, Equatable {
    /// Where the row stands among all rows of its entity.
    package let order: RowOrder
    /// What kind of row it is.
    package let flags: RowFlags

    /// Whether the row says that the entity has none any more.
    package var isTombstone: Bool { flags.contains(.tombstone) }

    /// Whether a caller pushed it.
    package var isPushed: Bool { flags.contains(.pushed) }

    /// Where the four bytes of the check begin; between byte 11 and here lies the event time.
    package var checkOffset: Int {
        flags.contains(.eventTime)
            ? RowFormat.eventTimeOffset + RowFormat.eventTimeBytes : RowFormat.eventTimeOffset
    }

    /// Where the body begins: the schema id and, behind it, the payload.
    package var bodyOffset: Int { checkOffset + RowFormat.checkBytes }

    /// Reads the head.
    ///
    /// - Throws: `truncated` when no body can follow, `unknownFormat`, `tooLarge`.
    package init(_ bytes: Span<UInt8>) throws(RowCodecError) {
        guard bytes.count >= 1 else { throw RowCodecError(.truncated, "the row is empty") }
        guard bytes[0] >> 4 == RowFormat.version else {
            throw RowCodecError(.unknownFormat, "the row is of an unknown format")
        }
        flags = RowFlags(rawValue: bytes[0] & 15)
        guard flags.isPossible else {
            throw RowCodecError(.unknownFormat, "the row has unknown flags")
        }
        guard bytes.count <= RowFormat.maximumRowBytes else { throw RowCodecError(.tooLarge, "the row is too long") }
        let hasEventTime = flags.contains(.eventTime)
        let eventTimeBytes = hasEventTime ? RowFormat.eventTimeBytes : 0
        guard bytes.count >= RowFormat.minimumRowBytes + eventTimeBytes else {
            throw RowCodecError(.truncated, "the row ends in its header")
        }
        let eventTime =
            hasEventTime ? Int64(bitPattern: bigEndian(bytes, RowFormat.eventTimeOffset, 8) ^ (1 << 63)) : nil
        order = RowOrder(
            epoch: UInt16(truncatingIfNeeded: bigEndian(bytes, 1, 2)), eventTime: eventTime,
            position: bigEndian(bytes, 3, 8))
    }
}

/// The unsigned number of `count` bytes at `offset`, most significant first.
func bigEndian(_ bytes: Span<UInt8>, _ offset: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in offset..<offset + count { value = value << 8 | UInt64(bytes[index]) }
    return value
}

/// Appends the lowest `count` bytes of a number, most significant first.
func appendBigEndian(_ value: UInt64, _ count: Int, _ output: inout OutputSpan<UInt8>) {
    for index in (0..<count).reversed() { output.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
}
