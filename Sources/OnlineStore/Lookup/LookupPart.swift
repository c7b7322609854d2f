import FeatureModel
import RowCodec

/// The features of one view in a plan. Immutable; a class, so that looking at one counts one reference at most.
final class LookupPart: Sendable {
    let view: FeatureView
    let space: KeySpace
    let reader: RowReader
    /// For each slot the index of the feature in the view.
    let features: [Int]
    /// Where the slots of the parts before end.
    let slotBase: Int
    let slotCount: Int
    /// Which of the plan's `keyGroups` makes its keys.
    let keyGroup: Int
    /// `project:{` and `}view:version\r\n`, around an entity key in an MGET.
    let keyPrefix: [UInt8]
    let keySuffix: [UInt8]
    /// In microseconds; `nil` for no limit.
    let maxAge: Int64?
    /// For each slot the mark where the value is `null`, where there is no row, one too old, or one that can't be read.
    let nullMarks: [UInt8]
    let missingMarks: [UInt8]
    let staleMarks: [UInt8]
    let failedMarks: [UInt8]

    /// Picks features of a view by their index; `nil` when one is given twice or is outside of the view.
    init?(view: FeatureView, space: KeySpace, features: [Int], slotBase: Int, keyGroup: Int) {
        guard let reader = RowReader(view: view, picking: features) else { return nil }
        self.view = view
        self.space = space
        self.reader = reader
        self.features = features
        self.slotBase = slotBase
        self.keyGroup = keyGroup
        slotCount = features.count
        keyPrefix = Array(space.prefix.utf8)
        keySuffix = Array("\(space.suffix)\r\n".utf8)
        maxAge = view.maxAge?.wholeMicroseconds
        let hasDefault = features.map { view.features[$0].hasDefault }
        nullMarks = hasDefault.map { ValueMark.standIn(.nullValue, hasDefault: $0) }
        missingMarks = hasDefault.map { ValueMark.standIn(.notFound, hasDefault: $0) }
        staleMarks = hasDefault.map { ValueMark.standIn(.outsideMaxAge, hasDefault: $0) }
        failedMarks = features.map { _ in ValueMark.failed }
    }
}

extension Feature {
    /// Whether something stands in for a value that is not there.
    var hasDefault: Bool {
        if let defaultValue { !defaultValue.isNull } else { false }
    }
}
