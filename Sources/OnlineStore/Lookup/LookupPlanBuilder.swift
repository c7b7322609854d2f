import FeatureModel
import RowCodec

/// Gathers the features of a plan by view.
struct LookupPlanBuilder {
    private let project: String
    private let views: [String: (view: FeatureView, version: Int)]
    /// Views in the order of their first feature.
    private var order: [String] = []
    /// For each view the features in the order of their slots.
    private var slots: [String: [Int]] = [:]
    /// For each answer its view's place in `order` and its slot.
    private var answers: [(part: Int, slot: Int)] = []

    init(project: String, views: [String: (view: FeatureView, version: Int)]) {
        self.project = project
        self.views = views
    }

    mutating func add(_ reference: FeatureReference) throws(LookupError) {
        guard let view = views[reference.view]?.view else {
            throw LookupError(
                "there is no view \(reference.view)\(Nearest.hint(reference.view, among: Array(views.keys)))",
                code: .unknownFeature)
        }
        guard let feature = view.features.firstIndex(where: { $0.name == reference.feature }) else {
            let hint = Nearest.hint(reference.feature, among: view.features.map(\.name))
            throw LookupError("view \(view.name) has no feature \(reference.feature)\(hint)", code: .unknownFeature)
        }
        let part = order.firstIndex(of: view.name) ?? order.count
        if part == order.count { order.append(view.name) }
        var known = slots[view.name] ?? []
        let slot = known.firstIndex(of: feature) ?? known.count
        if slot == known.count { known.append(feature) }
        slots[view.name] = known
        answers.append((part, slot))
    }

    func parts() throws(LookupError) -> ([LookupPart], keyGroups: [Entity]) {
        var groups: [Entity] = []
        var parts: [LookupPart] = []
        var slotBase = 0
        for name in order {
            guard let (view, version) = views[name], let features = slots[name] else { continue }
            let group = groups.firstIndex { $0.keys == view.entity.keys } ?? groups.count
            if group == groups.count { groups.append(view.entity) }
            let space = KeySpace(project: project, viewKey: view.key, version: version)
            guard
                let part = LookupPart(
                    view: view, space: space, features: features, slotBase: slotBase, keyGroup: group)
            else { throw LookupError("there is no view \(name)", code: .unknownFeature) }
            parts.append(part)
            slotBase += features.count
        }
        return (parts, groups)
    }

    func columns(_ parts: [LookupPart]) -> ([LookupPlan.Column], [LookupPlan.Default]) {
        var columns: [LookupPlan.Column] = []
        var defaults: [LookupPlan.Default] = []
        for (part, slot) in answers {
            let feature = parts[part].view.features[parts[part].features[slot]]
            let (kind, element, dimension) = feature.type.shape
            var (lookup, feast) = (JSONBytes(), JSONBytes())
            if feature.hasDefault, let value = feature.defaultValue {
                lookup.value(value)
                feast.feastValue(value)
            }
            let bound = JSONBound.value(kind, dimension)
            columns.append(
                LookupPlan.Column(
                    kind: kind, element: element, part: Int32(part), slot: Int32(slot),
                    slotBase: Int32(parts[part].slotBase), slotCount: Int32(parts[part].slotCount),
                    dimension: Int32(dimension), lookupBound: Int32(max(bound, lookup.bytes.count) + 1),
                    feastBound: Int32(max(bound, feast.bytes.count) + 1)))
            defaults.append(LookupPlan.Default(lookup: lookup.bytes, feast: feast.bytes))
        }
        return (columns, defaults)
    }
}

extension LookupPlan.Column {
    /// Whether its text may need the table of powers of ten.
    var isFloating: Bool {
        switch kind {
        case .float32, .float64, .vector: true
        case .list: element == .float32 || element == .float64
        default: false
        }
    }
}

extension FeatureType {
    fileprivate var shape: (ValueKind, element: ScalarType, dimension: Int) {
        switch self {
        case .scalar(let scalar): (ValueKind(scalar), scalar, 0)
        case .list(let scalar): (.list, scalar, 0)
        case .vector(let dimension): (.vector, .float32, dimension)
        }
    }
}

/// The word on a value in one byte.
enum ValueMark {
    static let present: UInt8 = 0
    static let nullValue: UInt8 = 1
    static let notFound: UInt8 = 2
    static let outsideMaxAge: UInt8 = 3
    static let defaulted: UInt8 = 4
    static let failed: UInt8 = 5
    static let count = 6

    static func mark(_ status: FeatureStatus) -> UInt8 {
        switch status {
        case .present: present
        case .nullValue: nullValue
        case .notFound: notFound
        case .outsideMaxAge: outsideMaxAge
        case .defaulted: defaulted
        case .failed: failed
        }
    }

    static func status(_ mark: UInt8) -> FeatureStatus {
        switch mark {
        case present: .present
        case nullValue: .nullValue
        case notFound: .notFound
        case outsideMaxAge: .outsideMaxAge
        case defaulted: .defaulted
        default: .failed
        }
    }

    static func standIn(_ status: FeatureStatus, hasDefault: Bool) -> UInt8 {
        hasDefault ? defaulted : mark(status)
    }
}

/// The text of answers that a plan knows beforehand.
struct LookupTexts: Sendable {
    /// `{"features":[…],"rows":[`
    let lookupHead: [UInt8]
    /// `],"versions":{…}`
    let lookupTail: [UInt8]
    /// `"a","b"` and `"view__a","view__b"`.
    let bareNames: [UInt8]
    let fullNames: [UInt8]
    /// `,"feature_view_metadata":[…]`
    let viewMetadata: [UInt8]

    init(features: [FeatureReference], parts: [LookupPart]) {
        var text = JSONBytes()
        text.raw("{\"features\":[")
        text.list(features) { $0.string("\($1.view):\($1.feature)") }
        text.raw("],\"rows\":[")
        lookupHead = text.bytes
        text = JSONBytes()
        text.raw("],\"versions\":{")
        text.list(parts.sorted { $0.view.name < $1.view.name }) {
            $0.string($1.view.name)
            $0.raw(":\($1.space.version)")
        }
        text.raw("}")
        lookupTail = text.bytes
        text = JSONBytes()
        text.list(features) { $0.string($1.feature) }
        bareNames = text.bytes
        text = JSONBytes()
        text.list(features) { $0.string("\($1.view)__\($1.feature)") }
        fullNames = text.bytes
        text = JSONBytes()
        text.raw(",\"feature_view_metadata\":[")
        text.list(parts) {
            $0.raw("{\"name\":")
            $0.string($1.view.name)
            $0.raw(",\"version\":\($1.space.version)}")
        }
        text.raw("]")
        viewMetadata = text.bytes
    }
}
