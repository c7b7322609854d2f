import FeatureModel

/// Which result column holds what. Every statement that yields a view's rows selects these columns in this order.
struct SQLiteRowLayout: Sendable {
    let keys: [Entity.Key]
    let features: [Feature]
    /// Of the features, beside them: a `Feature` is costly to copy and every value of every row needs its type.
    let types: [FeatureType]
    let eventTime: TimeColumn?
    /// Index of the event time, if there is one.
    let eventTimeColumn: Int?
    /// Index of the soft-delete mark, if there is one.
    let deletedColumn: Int?
    /// Index of the watermark; tie-breakers follow. Only for views whose rows carry it.
    let watermarkColumn: Int?
    let watermark: WatermarkColumn?
    /// The names, in order.
    let columns: [String]

    /// `watermark`: the column by which rows are read, for views that find rows (not entities) by it.
    init(_ view: FeatureView, watermark: WatermarkColumn?) {
        keys = view.entity.keys
        features = view.features
        types = view.features.map(\.type)
        eventTime = view.source.eventTime
        self.watermark = watermark
        var columns = keys.map(\.name) + features.map(\.name)
        func add(_ name: String?) -> Int? {
            guard let name else { return nil }
            columns.append(name)
            return columns.count - 1
        }
        eventTimeColumn = add(view.source.eventTime?.column)
        deletedColumn = add(view.source.deleted)
        watermarkColumn = add(watermark?.column)
        for name in watermark?.tieBreaker ?? [] { _ = add(name) }
        self.columns = columns
    }

    /// The watermark and its tie-breakers.
    var positionColumns: Range<Int> {
        (watermarkColumn ?? columns.count)..<columns.count
    }
}
