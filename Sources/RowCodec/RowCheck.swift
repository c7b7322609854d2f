import FeatureModel

/// The check of a packed row: CRC-32C over the schema fingerprint, the entity key's text, and the row but for the check.
///
/// It finds every flipped bit, and a row that lies under another entity's key or was packed under another schema.
struct RowCheck: Sendable {
    /// The running state behind the fingerprint, which all rows of a schema share.
    private let seed: UInt32
    private let tables = CRC32C.tables

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
        let tables = tables.span
        let bodyOffset = checkOffset + RowFormat.checkBytes
        guard let base = row.baseAddress, bodyOffset <= row.count else { return 0 }
        var state = unsafe CRC32C.update(seed, key, tables)
        state = unsafe CRC32C.update(state, UnsafeRawBufferPointer(start: base, count: checkOffset), tables)
        state = unsafe CRC32C.update(
            state, UnsafeRawBufferPointer(start: base + bodyOffset, count: row.count - bodyOffset), tables)
        return ~state
    }
}

/// CRC-32C (Castagnoli, as in iSCSI and RFC 3720), sixteen bytes a step by table ("slicing-by-16").
enum CRC32C {
    static let start: UInt32 = 0xffff_ffff

    /// Sixteen tables of 256: entry `k * 256 + b` is the state of byte `b` followed by `k` zero bytes.
    static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 16 * 256)
        for byte in 0..<256 {
            var state = UInt32(byte)
            for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
            tables[byte] = state
        }
        for index in 256..<16 * 256 {
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
        // The span's own bytes, for the length of the call.
        unsafe bytes.withUnsafeBytes { unsafe update(initial, $0, tables.span) }
    }

    /// Goes on over many bytes. `tables` is the whole of `CRC32C.tables`.
    @inline(__always)
    static func update(_ initial: UInt32, _ bytes: UnsafeRawBufferPointer, _ tables: Span<UInt32>) -> UInt32 {
        guard let base = bytes.baseAddress else { return initial }
        var state = initial
        var index = 0
        // Every load ends at or before `count`.
        while index &+ 16 <= bytes.count {
            let low = unsafe base.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian ^ UInt64(state)
            let high = unsafe base.loadUnaligned(fromByteOffset: index &+ 8, as: UInt64.self).littleEndian
            state = step(tables, 15, low) ^ step(tables, 7, high)
            index &+= 16
        }
        if index &+ 8 <= bytes.count {
            let word = unsafe base.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian
            state = step(tables, 7, word ^ UInt64(state))
            index &+= 8
        }
        if index &+ 4 <= bytes.count {
            let word = unsafe base.loadUnaligned(fromByteOffset: index, as: UInt32.self).littleEndian ^ state
            state = half(tables, 3, UInt64(word))
            index &+= 4
        }
        while index < bytes.count {
            let byte = unsafe base.load(fromByteOffset: index, as: UInt8.self)
            state = unsafe state >> 8 ^ tables[unchecked: Int(UInt8(truncatingIfNeeded: state) ^ byte)]
            index &+= 1
        }
        return state
    }

    /// Eight bytes, the first of which has `last` bytes behind it in its step.
    @inline(__always)
    private static func step(_ tables: Span<UInt32>, _ last: Int, _ word: UInt64) -> UInt32 {
        half(tables, last, word & 0xffff_ffff) ^ half(tables, last &- 4, word >> 32)
    }

    /// Four look-ups. All indexes are below 16 * 256, the tables' size: `last` is 3, 7, 11 or 15, the rest is masked.
    @inline(__always)
    private static func half(_ tables: Span<UInt32>, _ last: Int, _ word: UInt64) -> UInt32 {
        unsafe tables[unchecked: last &* 256 &+ Int(word & 255)]
            ^ tables[unchecked: (last &- 1) &* 256 &+ Int(word >> 8 & 255)]
            ^ tables[unchecked: (last &- 2) &* 256 &+ Int(word >> 16 & 255)]
            ^ tables[unchecked: (last &- 3) &* 256 &+ Int(word >> 24 & 255)]
    }
}
