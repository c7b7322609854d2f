package import FeatureModel
import RowCodec

/// A list of features, resolved once against the versions that are read now, with all text of an answer that does not
/// depend on the entities.
package struct LookupPlan: Sendable {
    /// The features of one view.
    struct Part: Sendable {
        let view: FeatureView
        let space: KeySpace
        let reader: RowReader
        /// For each slot the index of the feature in the view.
        let features: [Int]
        /// Where the slots of the parts before end.
        let slotBase: Int
        /// Which of the plan's `keyGroups` makes its keys.
        let keyGroup: Int
        /// `project:{` and `}view:version\r\n`, around an entity key in an MGET.
        let keyPrefix: [UInt8]
        let keySuffix: [UInt8]
        /// In microseconds; `nil` for no limit.
        let maxAge: Int64?
        /// For each slot the mark where there is no usable value but one of `null`, none at all, or one too old.
        let nullMarks: [UInt8]
        let missingMarks: [UInt8]
        let staleMarks: [UInt8]

        var slotCount: Int { features.count }
    }

    /// One value of an answer.
    struct Column: Sendable {
        let part: Int
        let slot: Int
        let kind: ValueKind
        /// Of a list.
        let element: ScalarType
        /// Of a vector.
        let dimension: Int
        /// The longest text of a value with the comma behind it; of a list, a string or bytes not counting the contents.
        let lookupBound: Int
        let feastBound: Int
        /// The text of the default, as JSON; empty where there is none.
        let lookupDefault: [UInt8]
        let feastDefault: [UInt8]
    }

    /// In the order asked.
    package let features: [FeatureReference]
    let parts: [Part]
    let columns: [Column]
    /// Entities that differ in their key columns. Views of one entity share the keys of a request.
    let keyGroups: [Entity]
    let slotCount: Int
    let texts: LookupTexts
    /// The features whose bare names are the same; Feast's bodies need full names then.
    let bareCollisions: [String]
    let fullCollisions: [String]

    /// The views that are read, in the order of their first feature. Indexes of parts count in it.
    package var views: [String] { parts.map(\.view.name) }

    /// The version of each view that is read.
    package var versions: [String: Int] {
        Dictionary(parts.map { ($0.view.name, $0.space.version) }, uniquingKeysWith: { first, _ in first })
    }

    /// The key columns a request has to name: of all entities of the views, each once.
    package var keyColumns: [Entity.Key] {
        var columns: [Entity.Key] = []
        for key in keyGroups.flatMap(\.keys) where !columns.contains(where: { $0.name == key.name }) {
            columns.append(key)
        }
        return columns
    }

    /// Resolves features. `views` holds each view with the version that is read of it, by name. What is unknown is a
    /// `LookupError` with the nearest known.
    package init(
        project: String, features: [FeatureReference], views: [String: (view: FeatureView, version: Int)]
    ) throws(LookupError) {
        guard !features.isEmpty else { throw LookupError("no features are asked for") }
        guard features.count <= LookupLimits.features else {
            throw LookupError("more than \(LookupLimits.features) features are asked for", code: .tooLarge)
        }
        var builder = LookupPlanBuilder(project: project, views: views)
        for reference in features { try builder.add(reference) }
        self.features = features
        (parts, keyGroups) = try builder.parts()
        slotCount = parts.reduce(0) { $0 + $1.slotCount }
        columns = builder.columns(parts)
        texts = LookupTexts(features: features, parts: parts)
        bareCollisions = Self.repeated(features.map(\.feature))
        fullCollisions = Self.repeated(features.map { "\($0.view)__\($0.feature)" })
    }

    private static func repeated(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        var repeated: [String] = []
        for name in names where !seen.insert(name).inserted && !repeated.contains(name) { repeated.append(name) }
        return repeated
    }
}

/// What one request may ask for at most, whatever the daemon's own limits are.
package enum LookupLimits {
    /// Features of one plan.
    package static let features = 10_000
    /// Entities times features.
    package static let values = 4_000_000
    /// Entities times views.
    package static let rows = 1_000_000
    /// The packed rows of one request, in bytes.
    package static let rowBytes = 256 << 20
    /// The body of one answer, in bytes.
    package static let bodyBytes = 256 << 20
    /// Keys of one MGET. Redis answers nobody else while it runs a command: 128 rows take it about 50 µs.
    package static let keysPerCommand = 128
}
