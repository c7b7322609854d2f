/// How Feast lays rows out in Redis: one hash for each entity and project, a field for each feature.
package enum FeastLayout {
    /// How entity keys are spelled: `entity_key_serialization_version` of a Feast repository.
    package enum KeyVersion: Int, Sendable, CaseIterable {
        case v2 = 2
        case v3 = 3
    }

    /// One value of a join key, of the type that it is declared with: it is part of the spelling.
    package enum KeyValue: Hashable, Sendable {
        case string(String)
        case bytes([UInt8])
        case int32(Int32)
        case int64(Int64)
        case timestamp(Int64)
    }

    /// The Redis key of an entity. The order of the join keys doesn't matter: they are sorted by name.
    package static func key(
        _ joinKeys: [(name: String, value: KeyValue)], project: String, version: KeyVersion = .v3
    ) -> [UInt8] {
        let sorted = joinKeys.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        var bytes: [UInt8] = []
        if version == .v3 { append(UInt32(sorted.count), to: &bytes) }
        for (name, _) in sorted {
            append(ValueTypeNumber.string, to: &bytes)
            if version == .v3 { append(UInt32(name.utf8.count), to: &bytes) }
            bytes += name.utf8
        }
        for (_, value) in sorted { append(value, to: &bytes) }
        bytes += project.utf8
        return bytes
    }

    /// The field of a feature: four bytes. `view` is the name that rows are stored under (`FeastView.storedName`).
    package static func field(view: String, feature: String) -> [UInt8] {
        var bytes: [UInt8] = []
        append(Murmur3.hash32("\(view):\(feature)".utf8), to: &bytes)
        return bytes
    }

    /// The field of a view's event time.
    package static func timestampField(view: String) -> [UInt8] { Array("_ts:\(view)".utf8) }

    private enum ValueTypeNumber {
        static let bytes: UInt32 = 1
        static let string: UInt32 = 2
        static let int32: UInt32 = 3
        static let int64: UInt32 = 4
        static let timestamp: UInt32 = 8
    }

    private static func append(_ value: KeyValue, to bytes: inout [UInt8]) {
        switch value {
        case .string(let text):
            append(ValueTypeNumber.string, to: &bytes)
            append(UInt32(text.utf8.count), to: &bytes)
            bytes += text.utf8
        case .bytes(let raw):
            append(ValueTypeNumber.bytes, to: &bytes)
            append(UInt32(raw.count), to: &bytes)
            bytes += raw
        case .int32(let number):
            append(ValueTypeNumber.int32, to: &bytes)
            append(4, to: &bytes)
            append(UInt32(bitPattern: number), to: &bytes)
        case .int64(let number): append(number, ValueTypeNumber.int64, to: &bytes)
        case .timestamp(let number): append(number, ValueTypeNumber.timestamp, to: &bytes)
        }
    }

    private static func append(_ number: Int64, _ type: UInt32, to bytes: inout [UInt8]) {
        append(type, to: &bytes)
        append(8, to: &bytes)
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    private static func append(_ word: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
}
