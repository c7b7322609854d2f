package import FeatureModel
import RowCodec

/// A list of features, resolved once against the versions that are read now, with all text of an answer that does not
/// depend on the entities.
///
/// Immutable. A class, so that requests on several event loops count one reference and not those of all its parts.
package final class LookupPlan: Sendable {
    /// One value of an answer. Plain: a loop over columns counts no references.
    struct Column: Sendable {
        let kind: ValueKind
        /// Of a list.
        let element: ScalarType
        let part: Int32
        let slot: Int32
        /// The part's.
        let slotBase: Int32
        let slotCount: Int32
        /// Of a vector.
        let dimension: Int32
        /// The longest text of a value with the comma behind it; of a list, a string or bytes not counting the contents.
        let lookupBound: Int32
        let feastBound: Int32

        /// Where the words and marks of this value begin; they go on in steps of `slotCount`.
        @inline(__always)
        func start(_ entityCount: Int) -> Int { entityCount &* Int(slotBase) &+ Int(slot) }

        /// Whether the text of a value is bounded by the type alone.
        @inline(__always)
        var isFixed: Bool {
            switch kind {
            case .string, .bytes, .list: false
            default: true
            }
        }
    }

    /// The text of a column's default, as JSON; empty where there is none.
    struct Default: Sendable {
        let lookup: [UInt8]
        let feast: [UInt8]
    }

    /// In the order asked.
    package let features: [FeatureReference]
    let parts: [LookupPart]
    let columns: [Column]
    /// One for each column.
    let defaults: [Default]
    /// How long a row of `/v1/lookup` can be, but for ages and the contents of the columns that are not fixed.
    let lookupRowBound: Int
    /// The columns whose text is bounded by their contents only.
    let looseColumns: [Column]
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
        (columns, defaults) = builder.columns(parts)
        looseColumns = columns.filter { !$0.isFixed }
        lookupRowBound = columns.reduce(64) { $0 + Int($1.lookupBound) + JSONBound.status }
        if columns.contains(where: \.isFloating) { PowersOfTen.prepare() }
        texts = LookupTexts(features: features, parts: parts)
        bareCollisions = LookupPlan.repeated(features.map(\.feature))
        fullCollisions = LookupPlan.repeated(features.map { "\($0.view)__\($0.feature)" })
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
    /// The packed rows of one request and their payloads unpacked, in bytes. Below 2^31, so that offsets fit.
    package static let arenaBytes = 1 << 30
    /// The body of one answer, in bytes.
    package static let bodyBytes = 256 << 20
    /// Keys of one MGET. Redis answers nobody else while it runs a command: 128 rows take it about 50 µs.
    package static let keysPerCommand = 128
}
