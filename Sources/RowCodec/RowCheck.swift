import FeatureModel

/// The check of a packed row: CRC-32C over the schema fingerprint, the entity key's text, and the row but for the check.
///
/// It finds every flipped bit, and a row that lies under another entity's key or was packed under another schema.
struct RowCheck: Sendable {
    /// The running state behind the fingerprint, which all rows of a schema share.
    private let seed: UInt32

    init(schemaFingerprint: UInt64) {
        var state = CRC32C.start
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            state = CRC32C.update(state, UInt8(truncatingIfNeeded: schemaFingerprint >> shift))
        }
        seed = state
    }

    /// The check of `row`, whose own check lies at `checkOffset` and is left out.
    func value(of row: Span<UInt8>, key: EntityKey, checkOffset: Int) -> UInt32 {
        var state = CRC32C.update(seed, key.text.utf8.span)
        state = CRC32C.update(state, row.extracting(0..<checkOffset))
        state = CRC32C.update(state, row.extracting(checkOffset + RowFormat.checkBytes..<row.count))
        return ~state
    }

    /// The check of the row in `row`, stored for the entity key in `key`; its own check at `checkOffset` is left out.
    func value(of row: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, checkOffset: Int) -> UInt32 {
        var state = unsafe CRC32C.update(seed, key)
        state = unsafe CRC32C.update(state, UnsafeRawBufferPointer(rebasing: row[..<checkOffset]))
        state = unsafe CRC32C.update(
            state, UnsafeRawBufferPointer(rebasing: row[(checkOffset + RowFormat.checkBytes)...]))
        return ~state
    }
}

/// CRC-32C (Castagnoli, as in iSCSI and RFC 3720), eight bytes a step by table ("slicing-by-8").
enum CRC32C {
    static let start: UInt32 = 0xffff_ffff

    /// Eight tables of 256: entry `k * 256 + b` is the state of byte `b` followed by `k` zero bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var state = UInt32(byte)
            for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
            tables[byte] = state
        }
        for index in 256..<8 * 256 {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 255)]
        }
        return tables
    }()

    /// Goes on over one byte.
    static func update(_ state: UInt32, _ byte: UInt8) -> UInt32 {
        state >> 8 ^ tables[Int(UInt8(truncatingIfNeeded: state) ^ byte)]
    }

    /// Goes on over many bytes.
    static func update(_ initial: UInt32, _ bytes: Span<UInt8>) -> UInt32 {
        let tables = Self.tables.span
        // The loads stay inside `bytes`, whose elements are plain bytes: any eight of them are a UInt64.
        let raw = unsafe bytes.bytes
        var state = initial
        var index = 0
        while index &+ 8 <= raw.byteCount {
            let word = UInt64(
                littleEndian: unsafe raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            state = step(tables, word ^ UInt64(state))
            index &+= 8
        }
        while index < raw.byteCount {
            let byte = unsafe raw.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            state = unsafe state >> 8 ^ tables[unchecked: Int(UInt8(truncatingIfNeeded: state) ^ byte)]
            index &+= 1
        }
        return state
    }

    /// Goes on over many bytes.
    static func update(_ state: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        // A buffer's own bytes, for the length of the call.
        unsafe update(state, Span(_unsafeElements: bytes.bindMemory(to: UInt8.self)))
    }

    /// Eight look-ups. All indexes are below 8 * 256, the tables' size, by their masks.
    @inline(__always)
    private static func step(_ tables: Span<UInt32>, _ word: UInt64) -> UInt32 {
        let low =
            unsafe tables[unchecked: 7 * 256 + Int(word & 255)]
            ^ tables[unchecked: 6 * 256 + Int(word >> 8 & 255)]
            ^ tables[unchecked: 5 * 256 + Int(word >> 16 & 255)]
            ^ tables[unchecked: 4 * 256 + Int(word >> 24 & 255)]
        let high =
            unsafe tables[unchecked: 3 * 256 + Int(word >> 32 & 255)]
            ^ tables[unchecked: 2 * 256 + Int(word >> 40 & 255)]
            ^ tables[unchecked: 256 + Int(word >> 48 & 255)]
            ^ tables[unchecked: Int(word >> 56)]
        return low ^ high
    }
}
