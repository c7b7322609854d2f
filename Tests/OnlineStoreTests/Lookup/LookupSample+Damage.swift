import FeatureModel
import RowCodec
import TidemarkTesting

extension LookupSample {
    /// Changes random bytes of every row and gives it a check that fits.
    mutating func damageAll(_ generator: inout SeededGenerator) {
        for (part, view) in asked.enumerated() {
            for entity in entities.indices {
                guard case .row(let row) = stored[part][entity], let key = Self.key(view, entities[entity]) else {
                    continue
                }
                stored[part][entity] = .row(Self.damaged(row, view, key, &generator))
            }
        }
    }

    private static func damaged(
        _ row: [UInt8], _ view: FeatureView, _ key: EntityKey, _ generator: inout SeededGenerator
    ) -> [UInt8] {
        var row = row
        // Behind a header with event time lie the check and the schema id; without it eight bytes earlier.
        let checkOffset = row[0] & 2 == 0 ? 11 : 19
        let payload = checkOffset + 6
        switch generator.below(6) {
        case 0: row.removeLast(generator.below(row.count - payload + 1))
        case 1: row += (0...generator.below(12)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        case 2: row[0] ^= 1 << UInt8(generator.pick([0, 2, 3]))
        default: break
        }
        for _ in 0..<generator.below(4) where row.count > payload {
            // Mostly near the beginning, where bitmap and lengths are.
            let offset =
                payload + generator.below(generator.chance(0.5) ? min(8, row.count - payload) : row.count - payload)
            row[offset] = generator.pick([0, 1, 0x7f, 0x80, 0xff, UInt8(truncatingIfNeeded: generator.next())])
        }
        var checked = bigEndian(view.schemaFingerprint) + Array(key.text.utf8)
        checked += row[..<checkOffset] + row[(checkOffset + 4)...]
        row.replaceSubrange(checkOffset..<checkOffset + 4, with: bigEndian(crc32c(checked)))
        return row
    }

    /// CRC-32C, bit by bit from its definition.
    private static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        var state: UInt32 = 0xffff_ffff
        for byte in bytes {
            state ^= UInt32(byte)
            for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
        }
        return ~state
    }

    private static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        stride(from: number.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
    }
}
