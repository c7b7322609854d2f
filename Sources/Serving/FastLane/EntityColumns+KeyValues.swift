import FeatureModel
package import OnlineStore

extension EntityColumns {
    /// The columns of a request as the wire read them, without a copy.
    package init(_ values: KeyValues) throws(LookupError) {
        self.init()
        for column in values.columns {
            switch column.type {
            case .int32, .int64: add(column.name, integers: column.integers)
            case .string: try add(column.name, texts: column.bytes, ends: column.ends)
            case .bytes: try add(column.name, bytes: column.bytes, ends: column.ends)
            }
        }
    }
}
