import FeatureModel
import OnlineStore
import RowCodec
import TidemarkTesting

/// A request made up at random: views of all types, entities, and what lies in the store for them.
struct LookupSample {
    /// What a store answers for one row.
    enum Stored {
        case row([UInt8])
        case nothing
        /// The view could not be read.
        case unknown
    }

    static let now: Int64 = 1_700_000_000_000_000

    let views: [FeatureView]
    let features: [FeatureReference]
    let entities: [[String: EntityKeyValue]]
    /// View by view in the order of their first feature, entity by entity.
    var stored: [[Stored]] = []

    init(_ generator: inout SeededGenerator) throws {
        views = (0...generator.below(3)).map { Self.view($0, &generator) }
        let known = views.flatMap { view in view.features.map { FeatureReference(view: view.name, feature: $0.name) } }
        features = (0...generator.below(8)).map { _ in generator.pick(known) }
        entities = (0..<generator.below(5)).map { _ in
            [
                "id": .integer(Int64(generator.below(4))),
                "word": .text(generator.pick(["", "a", "b,c", "ü\"\\\n", "{}", "long enough to be more than small"])),
                "blob": .bytes(generator.pick([[], [0], [255, 254, 253, 252]])),
            ]
        }
        for view in asked {
            let isUnknown = generator.chance(0.05)
            stored.append(try entities.map { isUnknown ? .unknown : try Self.row(view, $0, &generator) })
        }
    }

    /// The views that are read, in the order of their first feature.
    var asked: [FeatureView] {
        var order: [FeatureView] = []
        for reference in features {
            guard let view = views.first(where: { $0.name == reference.view }), !order.contains(view) else { continue }
            order.append(view)
        }
        return order
    }

    func plan() throws -> LookupPlan {
        try LookupPlan(
            project: "shop", features: features,
            views: Dictionary(uniqueKeysWithValues: views.enumerated().map { ($1.name, ($1, $0 + 1)) }))
    }

    func packed(_ plan: LookupPlan, _ keys: LookupKeys, reusing old: PackedRows? = nil) -> PackedRows {
        var rows = old ?? PackedRows(count: keys.rowCount)
        if old != nil { rows.reset(count: keys.rowCount) }
        for (part, found) in stored.enumerated() {
            for (entity, row) in found.enumerated() {
                switch row {
                case .row(let bytes): rows.set(part * entities.count + entity, bytes)
                case .nothing: rows.set(part * entities.count + entity, [UInt8]?.none)
                case .unknown: rows.fail(part: part, reason: "no \"store\"")
                }
            }
        }
        return rows
    }

    static func key(_ view: FeatureView, _ entity: [String: EntityKeyValue]) -> EntityKey? {
        EntityKey(view.entity.keys.compactMap { entity[$0.name] })
    }

    private static let allTypes: [FeatureType] =
        ScalarType.allCases.map(FeatureType.scalar) + ScalarType.allCases.map(FeatureType.list) + [.vector(3)]

    private static func view(_ index: Int, _ generator: inout SeededGenerator) -> FeatureView {
        let entity = generator.pick([
            Entity(name: "user", keys: [.init(name: "id", type: .int64)]),
            Entity(name: "word", keys: [.init(name: "word", type: .string)]),
            Entity(
                name: "all",
                keys: [
                    .init(name: "blob", type: .bytes), .init(name: "id", type: .int32),
                    .init(name: "word", type: .string),
                ]),
        ])
        return FeatureView(
            name: "view\(index)", entity: entity,
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), maxAge: generator.pick([nil, .seconds(60)]),
            sweep: .seconds(1_800),
            features: (0...generator.below(12)).map { place in
                let type = generator.pick(allTypes)
                let name = generator.chance(0.1) ? "same" : "f\(index)_\(place)"
                return Feature(
                    name: name == "same" && place > 0 ? "g\(index)_\(place)" : name, type: type,
                    defaultValue: generator.chance(0.2) ? value(type, &generator) : nil)
            })
    }

    private static func row(
        _ view: FeatureView, _ entity: [String: EntityKeyValue], _ generator: inout SeededGenerator
    ) throws -> Stored {
        guard !generator.chance(0.1), let own = key(view, entity) else { return .nothing }
        let ages: [Int64?] = [nil, 0, 59_999_999, 60_000_000, 60_000_001, -5, 1_234_567]
        var eventTime = generator.pick(ages).map { now - $0 }
        if generator.chance(0.1) { eventTime = generator.pick([.min, .max, 0, -1, 253_402_300_800_000_000]) }
        let order = RowOrder(epoch: 1, eventTime: eventTime, position: generator.next())
        let key = generator.chance(0.03) ? EntityKey(canonical: "another") : own
        var row: [UInt8] = []
        if generator.chance(0.1) {
            RowEncoder(view: view).encodeTombstone(key: key, order: order, into: &row)
            return .row(row)
        }
        let values = view.features.map { generator.chance(0.15) ? .null : value($0.type, &generator) }
        try RowEncoder(view: view).encode(key: key, order: order, values: values[...], into: &row)
        if generator.chance(0.03) { row[generator.below(row.count)] ^= 1 << UInt8(generator.below(8)) }
        return .row(row)
    }

    static func value(_ type: FeatureType, _ generator: inout SeededGenerator) -> FeatureValue {
        switch type {
        case .scalar(let scalar): scalarValue(scalar, &generator)
        case .list(let scalar):
            .list((0..<generator.pick([0, 1, 2, 90])).map { _ in scalarValue(scalar, &generator) })
        case .vector(let dimension): .vector((0..<dimension).map { _ in float(&generator) })
        }
    }

    private static func scalarValue(_ scalar: ScalarType, _ generator: inout SeededGenerator) -> FeatureValue {
        switch scalar {
        case .bool: .bool(generator.chance(0.5))
        case .int32: .int32(Int32(truncatingIfNeeded: number(&generator)))
        case .int64: .int64(number(&generator))
        case .timestamp: .timestamp(number(&generator))
        case .float32: .float32(float(&generator))
        case .float64: .float64(double(&generator))
        case .string: .string(String((0..<length(&generator)).map { _ in generator.pick(characters) }))
        case .bytes: .bytes((0..<length(&generator)).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        }
    }

    private static let characters: [Character] = [
        "a", "Z", "0", " ", "ü", "漢", "🦆", "\0", "\n", "\"", "\\", "\u{7f}", "\u{2028}", "/", "b", "c", "d",
    ]

    private static func length(_ generator: inout SeededGenerator) -> Int {
        generator.pick([0, 1, 2, 3, 7, 8, 9, 130])
    }

    static func number(_ generator: inout SeededGenerator) -> Int64 {
        let magnitude = Int64(truncatingIfNeeded: generator.next() >> UInt64(generator.below(64)))
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
                1e15, 1e16, 1.2e16, 0x1p54, 1e22, 1e23, 0.0001, 0.00001, .greatestFiniteMagnitude,
                9_007_199_254_740_992,
            ])
        default: generator.fraction()
        }
    }

    static func float(_ generator: inout SeededGenerator) -> Float {
        switch generator.below(3) {
        case 0: Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
        case 1: Float(generator.below(100_000)) / 1_000
        default: generator.pick([0, -0.0, .infinity, -.infinity, .nan, 0.85, .leastNonzeroMagnitude, 1e16, 3e-5])
        }
    }
}
