package import FeatureModel

/// Keys as small numbers, in the order in which they came.
package struct KeyIndex: Sendable {
    package private(set) var keys: [EntityKeyValue] = []
    private var places: [EntityKeyValue: UInt32] = [:]

    package init() {}

    /// The number of a key, a new one where it has none yet.
    package mutating func insert(_ key: EntityKeyValue) -> UInt32 {
        if let place = places[key] { return place }
        let place = UInt32(keys.count)
        keys.append(key)
        places[key] = place
        return place
    }

    /// The number of a key, if it has one.
    package func place(of key: EntityKeyValue) -> UInt32? { places[key] }

    /// How many keys have a number.
    package var count: Int { keys.count }
}

extension EntityKeyType {
    /// How a column that holds such keys is read.
    var featureType: FeatureType {
        switch self {
        case .int32: .scalar(.int32)
        case .int64: .scalar(.int64)
        case .string: .scalar(.string)
        case .bytes: .scalar(.bytes)
        }
    }
}
