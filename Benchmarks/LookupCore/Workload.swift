import FeatureModel
import RowCodec

/// Views, rows and entities like those of the demo: three views of ten features, mostly numbers.
struct Workload {
    let plan: [FeatureReference]
    let views: [String: (view: FeatureView, version: Int)]
    let entities: [Int64]
    /// View by view, entity by entity, one behind the other, and where each ends.
    let packed: [UInt8]
    let ends: [Int]

    private static let eventTime: Int64 = 1_714_564_800_250_000
    static let now = eventTime + 90_000_000

    /// `types` is repeated to ten features a view.
    init(entities count: Int, types: [FeatureType]) throws {
        let entity = Entity(name: "user", keys: [.init(name: "user_id", type: .int64)])
        let all = (0..<3).map { view in
            FeatureView(
                name: "user_view_\(view)", entity: entity,
                source: ViewSource(
                    from: "shop", query: "SELECT 1",
                    watermark: .tracked(TrackedTable(table: "users", keyColumns: ["user_id"]))),
                every: .seconds(60), ttl: .seconds(3_600), maxAge: .seconds(3_600), sweep: .seconds(1_800),
                features: (0..<10).map { Feature(name: "feature_\(view)_\($0)", type: types[$0 % types.count]) })
        }
        views = Dictionary(uniqueKeysWithValues: all.map { ($0.name, ($0, 1)) })
        plan = all.flatMap { view in view.features.map { FeatureReference(view: view.name, feature: $0.name) } }
        entities = (0..<Int64(count)).map { 100_000 + $0 * 7 }
        var random = Random(state: 1)
        var (packed, ends): ([UInt8], [Int]) = ([], [])
        for view in all {
            let encoder = RowEncoder(view: view)
            for id in entities {
                guard let key = EntityKey([.integer(id)]) else { continue }
                let values = view.features.map { random.value($0.type) }
                try encoder.encode(
                    key: key, order: RowOrder(epoch: 1, eventTime: Self.eventTime, position: UInt64(id)),
                    values: values[...], into: &packed)
                ends.append(packed.count)
            }
        }
        (self.packed, self.ends) = (packed, ends)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }

    mutating func value(_ type: FeatureType) -> FeatureValue {
        switch type {
        case .scalar(.bool): .bool(below(2) == 0)
        case .scalar(.int32): .int32(Int32(below(1_000)))
        case .scalar(.float32): .float32(Float(below(1_000_000)) / 1_048_573)
        case .scalar(.float64): .float64(Double(below(10_000)) / 100)
        case .scalar(.string): .string("category_\(below(100))")
        case .scalar(.timestamp): .timestamp(1_714_000_000_000_000 + Int64(below(1_000_000_000_000)))
        default: .int64(Int64(below(100_000)))
        }
    }
}
