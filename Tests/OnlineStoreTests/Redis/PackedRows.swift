import FeatureModel
import OnlineStore

/// A packed row as the write script sees it, made by hand from the layout in `schemas/row-format.md`.
struct PackedRow: Hashable {
    var order: RowOrder
    var isTombstone = false
    var isPushed = false
    var body: [UInt8] = []
    var check: [UInt8] = [1, 2, 3, 4]

    var bytes: [UInt8] {
        var bytes: [UInt8] = [
            0x10 | (isTombstone ? 1 : 0) | (order.eventTime == nil ? 0 : 2) | (isPushed ? 8 : 0)
        ]
        bytes += Self.bigEndian(UInt64(order.epoch), count: 2)
        bytes += Self.bigEndian(order.position, count: 8)
        if let eventTime = order.eventTime {
            bytes += Self.bigEndian(UInt64(bitPattern: eventTime) ^ 1 << 63, count: 8)
        }
        return bytes + check + [0, 1] + body
    }

    private static func bigEndian(_ number: UInt64, count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
    }
}

extension RowBatch {
    /// A batch of these rows, one each for the keys.
    init(_ rows: [(EntityKey, [UInt8])], ttlMilliseconds: Int64 = 60_000) {
        self.init()
        for (key, bytes) in rows { append(key, ttlMilliseconds: ttlMilliseconds) { $0 += bytes } }
    }
}
