import FeatureModel
import OnlineStore
import RowCodec

/// A registry as this side's catalog: the control documents that `tidemark apply` and the sync would have written, and what
/// it takes to read each view's rows.
struct FeastCatalog: Sendable {
    /// What reading the rows of one view takes.
    struct View: Sendable {
        let keys: [FeastView.Key]
        let types: [FeatureType]
        let encoder: RowEncoder
        /// What to ask of a hash: a field for each feature, in order, and that of the event time.
        let fields: [[UInt8]]
    }

    /// By the view's key, which names the definition too: a lookup that was planned under one registry reads by it still when
    /// another has come.
    let views: [String: View]
    let documents: [String: Document]
    /// Names of the views that are served, sorted.
    let viewNames: [String]
    /// Of all that is served and refused, 16 hex digits.
    let hash: String
    private let appliedAt: Int64

    /// `modifiedAt` is the file's, in microseconds since 1970. `previous` was served before: its views stay readable, and documents
    /// that say the same stay the same.
    init(
        _ registry: FeastRegistry, project: String, modifiedAt: Int64, after previous: FeastCatalog?
    ) throws(StoreError) {
        var bound: [String: View] = [:]
        var texts: [String: [UInt8]] = [:]
        var print = Fingerprint()
        viewNames = registry.views.keys.sorted()
        for name in viewNames {
            guard let view = registry.views[name] else { continue }
            let definition = Self.definition(view)
            let text = String(decoding: ViewDocument.encode(definition), as: UTF8.self)
            print.combine(text)
            bound[definition.key] = View(view, definition)
            texts[CatalogStore.versionsName(name)] = try Self.versions(view, definition, text)
        }
        for (name, features) in registry.services.sorted(by: { $0.key < $1.key }) {
            print.combine(name)
            for feature in features { print.combine(feature) }
        }
        for (name, reason) in Self.refusals(registry).sorted(by: { $0.key < $1.key }) {
            print.combine(name)
            print.combine(reason)
        }
        hash = print.hex
        // Feast writes the file anew with each materialization; the definitions in it are as old as they are.
        appliedAt = previous.flatMap { $0.hash == print.hex ? $0.appliedAt : nil } ?? modifiedAt
        texts[CatalogStore.catalogName] = try ControlDocument.encode(
            CatalogRecord(
                project: project, hash: hash, views: viewNames, services: registry.services, appliedAt: appliedAt,
                refused: registry.refused, refusedServices: registry.refusedServices))
        documents = Self.documents(texts, previous?.documents ?? [:])
        views = bound.merging(previous?.newest ?? [:]) { current, _ in current }
        newest = bound
    }

    /// `views` without those of the registry before.
    private let newest: [String: View]

    private static func refusals(_ registry: FeastRegistry) -> [String: String] {
        registry.refused.merging(registry.refusedServices.map { ("service \($0.key)", $0.value) }) { $1 }
    }

    private static func documents(_ texts: [String: [UInt8]], _ previous: [String: Document]) -> [String: Document] {
        var documents: [String: Document] = [:]
        for (name, bytes) in texts {
            let old = previous[name]
            documents[name] = old?.bytes == bytes ? old : Document(bytes: bytes, revision: (old?.revision ?? 0) + 1)
        }
        return documents
    }

    private static func versions(
        _ view: FeastView, _ definition: FeatureView, _ text: String
    ) throws(StoreError) -> [UInt8] {
        var versions = ViewVersions(view: view.name)
        let number = versions.begin(
            definition: text, fingerprint: definition.key, reason: "Feast materialized it", at: 0, number: view.version)
        guard versions.finishBuilding(number), versions.activate(number, at: 0, keepPrevious: .zero) else {
            throw StoreError(.corrupt, "a view of Feast's registry can't be made one of ours", detail: view.name)
        }
        return try ControlDocument.encode(versions)
    }

    /// The view as one of ours. Nothing here syncs it, so that its source and times say nothing.
    private static func definition(_ view: FeastView) -> FeatureView {
        var print = Fingerprint()
        print.combine(view.storedName)
        for key in view.keys { print.combine("\(key.name) \(key.type)") }
        for feature in view.features { print.combine("\(feature.name) \(feature.type.spelling)") }
        let keys = view.keys.map { Entity.Key(name: $0.name, type: $0.type.entityKeyType) }
        let source = ViewSource(
            from: "feast", query: "",
            watermark: .column(WatermarkColumn(column: "event_timestamp", tieBreaker: view.keys.map(\.name))))
        return FeatureView(
            name: view.name, key: "\(view.name)@\(print.hex)",
            entity: Entity(name: keys.map(\.name).joined(separator: ","), keys: keys), source: source,
            every: .seconds(60), ttl: .seconds(86_400 * 365), maxAge: view.maxAge, sweep: .seconds(86_400),
            features: view.features.map { Feature(name: $0.name, type: $0.type) })
    }
}

extension FeastCatalog.View {
    fileprivate init(_ view: FeastView, _ definition: FeatureView) {
        keys = view.keys
        types = view.features.map(\.type)
        encoder = RowEncoder(view: definition)
        fields =
            view.features.map { FeastLayout.field(view: view.storedName, feature: $0.name) }
            + [FeastLayout.timestampField(view: view.storedName)]
    }

    /// The Redis key of an entity; `nil` where the spelling isn't one of these keys.
    func redisKey(_ entity: EntityKey, project: String, version: FeastLayout.KeyVersion) -> [UInt8]? {
        guard let values = entity.values(of: keys.map(\.type.entityKeyType)) else { return nil }
        var joined: [(name: String, value: FeastLayout.KeyValue)] = []
        for (key, value) in zip(keys, values) {
            guard let spelled = key.type.spelled(value) else { return nil }
            joined.append((key.name, spelled))
        }
        return FeastLayout.key(joined, project: project, version: version)
    }

    /// The packed row of what a hash holds under `fields`; `nil` where Feast never wrote this view's row. Values that make no
    /// sense give bytes that are no row, which readers tell from a missing one.
    func packedRow(_ key: EntityKey, _ stored: [[UInt8]?]) -> [UInt8]? {
        guard stored.count == fields.count else { return Self.noRow }
        guard stored.contains(where: { $0?.isEmpty == false }) else { return nil }
        var row: [UInt8] = []
        do {
            var values: [FeatureValue] = []
            values.reserveCapacity(types.count)
            for (bytes, type) in zip(stored, types) {
                let value = try FeastStoredValue.decode(bytes ?? [])
                guard let fitting = FeastStoredValue.widened(value, to: type) else { return Self.noRow }
                values.append(fitting)
            }
            var order = RowOrder(epoch: 0, eventTime: nil, position: 0)
            if case .some(.some(let time)) = stored.last, !time.isEmpty {
                order.eventTime = try FeastStoredValue.decodeTimestamp(time)
            }
            try encoder.encode(key: key, order: order, values: values[...], into: &row)
        } catch {
            return Self.noRow
        }
        return row
    }

    private static let noRow: [UInt8] = []
}

extension FeastView.KeyType {
    fileprivate func spelled(_ value: EntityKeyValue) -> FeastLayout.KeyValue? {
        switch (self, value) {
        case (.string, .text(let text)): .string(text)
        case (.bytes, .bytes(let bytes)): .bytes(bytes)
        case (.int32, .integer(let number)): Int32(exactly: number).map(FeastLayout.KeyValue.int32)
        case (.int64, .integer(let number)): .int64(number)
        case (.timestamp, .integer(let number)): .timestamp(number)
        default: nil
        }
    }
}
