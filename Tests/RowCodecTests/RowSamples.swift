import FeatureModel
import RowCodec
import TidemarkTesting

/// Views, rows and forged bytes for the tests of the row codec.
enum RowSamples {
    static let allTypes: [FeatureType] =
        ScalarType.allCases.map(FeatureType.scalar) + ScalarType.allCases.map(FeatureType.list) + [.vector(3)]

    static let key = EntityKey(canonical: "4711")

    static func view(_ types: [FeatureType], name: String = "view") -> FeatureView {
        FeatureView(
            name: name, entity: Entity(name: "user", keys: [.init(name: "user_id", type: .int64)]),
            source: ViewSource(
                from: "shop", query: "SELECT 1",
                watermark: .tracked(TrackedTable(table: "users", keyColumns: ["user_id"]))),
            every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800),
            features: types.enumerated().map { Feature(name: "\(name)_\($0.offset)", type: $0.element) })
    }

    static func order(_ generator: inout SeededGenerator) -> RowOrder {
        RowOrder(
            epoch: generator.pick([0, 1, .max, UInt16.random(in: 0...UInt16.max, using: &generator)]),
            eventTime: generator.pick([nil, 0, -1, .min, .max, 1_700_000_000_123_456]),
            position: generator.pick([0, 1, .max, generator.next()]))
    }

    static func value(_ type: FeatureType, _ generator: inout SeededGenerator) -> FeatureValue {
        switch type {
        case .scalar(let scalar): scalarValue(scalar, &generator)
        case .list(let scalar):
            .list((0..<generator.pick([0, 1, 2, 130])).map { _ in scalarValue(scalar, &generator) })
        case .vector(let dimension):
            .vector((0..<dimension).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())) })
        }
    }

    private static func scalarValue(_ scalar: ScalarType, _ generator: inout SeededGenerator) -> FeatureValue {
        switch scalar {
        case .bool: .bool(generator.chance(0.5))
        case .int32: .int32(Int32(truncatingIfNeeded: number(&generator)))
        case .int64: .int64(number(&generator))
        case .timestamp: .timestamp(number(&generator))
        case .float32: .float32(Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())))
        case .float64: .float64(double(&generator))
        case .string: .string(String((0..<length(&generator)).map { _ in generator.pick(characters) }))
        case .bytes:
            .bytes((0..<length(&generator)).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        }
    }

    private static let characters: [Character] = ["a", "Z", "0", " ", "ü", "漢", "🦆", "\0", "\n", "e\u{301}"]

    private static func length(_ generator: inout SeededGenerator) -> Int { generator.pick([0, 1, 7, 127, 128, 400]) }

    private static func number(_ generator: inout SeededGenerator) -> Int64 {
        let bits = generator.below(64)
        let magnitude = Int64(truncatingIfNeeded: generator.next() >> UInt64(bits))
        return generator.pick([magnitude, -magnitude, 0, .min, .max])
    }

    static func double(_ generator: inout SeededGenerator) -> Double {
        switch generator.below(5) {
        case 0: Double(bitPattern: generator.next())
        case 1: Double(generator.below(100_000_000)) / generator.pick([1, 10, 100, 1_000, 1e6, 1e14])
        case 2: -Double(generator.below(1_000)) / 8
        case 3:
            generator.pick([
                0, -0.0, .infinity, -.infinity, .nan, .pi, 1e300, .leastNonzeroMagnitude, 0x1p48, -0x1p53, 0.1 + 0.2,
            ])
        default: generator.fraction()
        }
    }

    /// Whether two values are the same to the bit: NaN is itself, and -0 isn't 0.
    static func areIdentical(_ left: FeatureValue, _ right: FeatureValue) -> Bool {
        switch (left, right) {
        case (.float32(let mine), .float32(let theirs)): mine.bitPattern == theirs.bitPattern
        case (.float64(let mine), .float64(let theirs)): mine.bitPattern == theirs.bitPattern
        case (.vector(let mine), .vector(let theirs)): mine.map(\.bitPattern) == theirs.map(\.bitPattern)
        case (.list(let mine), .list(let theirs)): areIdentical(mine, theirs)
        // Swift takes canonically equivalent strings for equal; rows keep the scalars as they are.
        case (.string(let mine), .string(let theirs)): Array(mine.utf8) == Array(theirs.utf8)
        default: left == right
        }
    }

    static func areIdentical(_ left: [FeatureValue], _ right: [FeatureValue]) -> Bool {
        left.count == right.count && zip(left, right).allSatisfy { areIdentical($0, $1) }
    }
}

/// Packs rows by hand, so that what an encoder never writes carries a check that fits.
enum ForgedRow {
    /// CRC-32C, bit by bit from its definition.
    static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        var state: UInt32 = 0xffff_ffff
        for byte in bytes {
            state ^= UInt32(byte)
            for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
        }
        return ~state
    }

    static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        unsafe withUnsafeBytes(of: number.bigEndian) { unsafe Array($0) }
    }

    /// A row at epoch 0 and position 1 without event time, but for the flags.
    static func make(
        _ view: FeatureView, key: EntityKey = RowSamples.key, flags: UInt8 = 0, payload: [UInt8]
    ) -> [UInt8] {
        let head: [UInt8] = [0x10 | flags] + bigEndian(UInt16(0)) + bigEndian(UInt64(1))
        let eventTime: [UInt8] = flags & 2 == 0 ? [] : bigEndian(UInt64(1) << 63)
        let body = bigEndian(UInt16(truncatingIfNeeded: view.schemaFingerprint)) + payload
        let checked = bigEndian(view.schemaFingerprint) + Array(key.text.utf8) + head + eventTime + body
        return head + eventTime + bigEndian(crc32c(checked)) + body
    }

    static func varint(_ number: UInt64) -> [UInt8] {
        number < 128 ? [UInt8(number)] : [UInt8(number & 127) | 128] + varint(number >> 7)
    }
}

// Expectations are macros whose closures don't take spans, so the tests call these.

extension RowDecoder {
    func decode(_ bytes: [UInt8], key: EntityKey, picking pick: FeaturePick) throws(RowCodecError) -> DecodedRow {
        try decode(bytes.span, key: key, picking: pick)
    }

    func decode(
        _ bytes: [UInt8], key: EntityKey, into values: inout [FeatureValue]
    ) throws(RowCodecError) -> RowHeader {
        try decode(bytes.span, key: key, into: &values)
    }
}

extension RowHeader {
    init(of bytes: [UInt8]) throws(RowCodecError) {
        try self.init(bytes.span)
    }
}
