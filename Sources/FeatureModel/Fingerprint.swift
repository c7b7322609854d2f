/// FNV-1a, 64 bits (Fowler, Noll, Vo): a stable hash of definitions. Not for untrusted keys, not cryptographic.
package struct Fingerprint: Hashable, Sendable {
    package private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    package init() {}

    /// Mixes in a text, and an end mark so that neighbours never run together.
    package mutating func combine(_ text: String) {
        for byte in text.utf8 { mix(byte) }
        mix(0xff)
    }

    private mutating func mix(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
    }

    /// Sixteen lower-case hex digits.
    package var hex: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension FeatureView {
    /// Names the packed row: entity key types, feature names and types in order. Rows of another schema don't decode.
    package var schemaFingerprint: UInt64 {
        var print = Fingerprint()
        for key in entity.keys {
            print.combine(key.name)
            print.combine(key.type == .int32 ? EntityKeyType.int64.rawValue : key.type.rawValue)
        }
        for feature in features {
            print.combine(feature.name)
            print.combine(feature.type.spelling)
        }
        return print.value
    }

    /// Names what the rows mean: the schema and everything that decides which values the source yields.
    /// A definition with another one needs a new version of the view.
    package var definitionFingerprint: String {
        var print = Fingerprint()
        print.combine(String(schemaFingerprint))
        print.combine(source.from)
        print.combine(source.query)
        print.combine(source.changes ?? "")
        print.combine(source.eventTime?.column ?? "")
        print.combine(source.eventTime?.unit?.rawValue ?? "")
        print.combine(source.deleted ?? "")
        // Exact and best-effort positions are numbered differently: rows of one kind can't be ordered among the other's.
        if case .tracked(let table) = source.watermark {
            print.combine("tracked")
            print.combine(table.table)
            for column in table.keyColumns { print.combine(column) }
        }
        return print.hex
    }
}
