package import FeatureModel

/// The key columns that a plan needs, ready to be compared with names in a body. To be made once for each plan.
package struct KeyColumns: Sendable {
    struct Column: Sendable {
        let name: String
        let bytes: [UInt8]
        let type: EntityKeyType
    }

    let columns: [Column]

    /// Takes the key columns of a plan.
    package init(_ keys: [Entity.Key]) {
        columns = keys.map { Column(name: $0.name, bytes: Array($0.name.utf8), type: $0.type) }
    }

    /// Which column a name is.
    func index(of name: JSONText, _ bytes: RawSpan) -> Int? {
        for index in columns.indices where name.equals(columns[index].bytes, bytes) { return index }
        return nil
    }
}

/// The key values of a request, a column each: integers, or all strings in one arena.
package struct KeyValues: Sendable, Hashable {
    /// One key column.
    package struct Column: Sendable, Hashable {
        package let name: String
        package let type: EntityKeyType
        /// One for each entity, where the type is an integer.
        package internal(set) var integers: [Int64] = []
        /// All strings or bytes, one behind the other.
        package internal(set) var bytes: [UInt8] = []
        /// Where each of them ends.
        package internal(set) var ends: [Int] = []

        /// The value of one entity.
        package subscript(_ entity: Int) -> EntityKeyValue {
            switch type {
            case .int32, .int64: return .integer(integers[entity])
            case .string, .bytes:
                let part = bytes[(entity == 0 ? 0 : ends[entity - 1])..<ends[entity]]
                return type == .string ? .text(String(decoding: part, as: UTF8.self)) : .bytes(Array(part))
            }
        }
    }

    /// How many entities there are.
    package internal(set) var count = 0
    /// In the order of the request.
    package internal(set) var columns: [Column] = []
}
