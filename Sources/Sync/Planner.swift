import Extraction
package import FeatureModel
import OnlineStore
import RowCodec

/// What `apply` would do to one view.
package struct ViewPlan: Codable, Hashable, Sendable {
    /// The kind of change.
    package enum Action: String, Codable, Sendable {
        /// The first version is begun.
        case create
        /// The next version is begun beside the one that is read.
        case newVersion = "new_version"
        /// Limits, schedule or contract change in place.
        case update
        /// Nothing to do.
        case none
        /// The view is no longer defined: it is synced no more, and its rows leave by their TTL.
        case drop
    }

    package let view: String
    package let action: Action
    /// The version that would be begun or changed.
    package let version: Int?
    /// Why, in words for people.
    package let reasons: [String]
    /// Entities that a load would read; an estimate of the source.
    package var backfillRows: Int64?
    /// From a sample of packed rows, for a load of `backfillRows`.
    package var memory: MemoryEstimate?
    /// What the source said when it could not be asked for the estimates.
    package var note: String?
}

/// What rows will take in the store.
package struct MemoryEstimate: Codable, Hashable, Sendable {
    package let sampledRows: Int
    /// Means over the sample, in bytes.
    package let keyBytes: Double
    package let valueBytes: Double
    /// What Redis 7 needs for one such row, by the arithmetic of `RedisRowCost`.
    package let bytesPerRow: Double
    package let totalBytes: Int64
}

/// Bytes that one string key with an expiry takes in Redis 7 on 64 bits with jemalloc.
package enum RedisRowCost {
    /// Two dictionary entries (keyspace and expires) of 24 bytes, which take a class of 24… 32, and their share of two
    /// tables of pointers, which are between half and fully used: 1.5 pointers of 8 bytes each on average.
    package static func bytes(key: Int, value: Int) -> Int {
        let entries = 2 * 24 + 2 * 12
        // A key string has a header of 1 (up to 31 bytes) or 3 bytes and a final zero.
        let keyString = sizeClass(key + (key < 32 ? 1 : 3) + 1)
        // Up to 44 bytes lie in one piece with the object (16 + 3 + 1).
        let valueString = value <= 44 ? sizeClass(value + 20) : 16 + sizeClass(value + (value < 256 ? 3 : 5) + 1)
        return entries + keyString + valueString
    }

    /// The jemalloc size class that holds `bytes`.
    static func sizeClass(_ bytes: Int) -> Int {
        if bytes <= 8 { return 8 }
        if bytes <= 128 { return (bytes + 15) / 16 * 16 }
        var step = 32
        var top = 256
        while bytes > top {
            step *= 2
            top *= 2
        }
        return (bytes + step - 1) / step * step
    }
}

/// Compares definitions with what the store has, and publishes them.
package struct Planner: Sendable {
    private let engine: SyncEngine
    private var context: SyncContext { engine.context }
    /// Rows read for a memory estimate.
    private static let sampleRows = 200

    package init(_ engine: SyncEngine) {
        self.engine = engine
    }

    /// What `apply` would do, in the order of the definitions; dropped views last.
    package func plan(_ catalog: Catalog, estimates: Bool = true) async throws -> [ViewPlan] {
        var plans: [ViewPlan] = []
        for view in catalog.views {
            var plan = try await plan(view)
            if estimates, plan.action == .create || plan.action == .newVersion { await estimate(&plan, view) }
            plans.append(plan)
        }
        let defined = Set(catalog.views.map(\.name))
        for name in try await context.catalog.catalog()?.record.views ?? [] where !defined.contains(name) {
            plans.append(ViewPlan(view: name, action: .drop, version: nil, reasons: ["no longer defined"]))
        }
        return plans
    }

    private func plan(_ view: FeatureView) async throws -> ViewPlan {
        guard let versions = try await context.catalog.versions(of: view.name),
            let newest = versions.next ?? versions.current
        else {
            return ViewPlan(view: view.name, action: .create, version: 1, reasons: ["new view"])
        }
        let old = try engine.definition(of: newest)
        if newest.definitionFingerprint != view.definitionFingerprint {
            let number = (versions.versions.map(\.number).max() ?? 0) + 1
            return ViewPlan(
                view: view.name, action: .newVersion, version: number, reasons: Self.differences(old, view))
        }
        if old != view {
            return ViewPlan(
                view: view.name, action: .update, version: newest.number,
                reasons: ["limits, schedule or contract changed; rows stay"])
        }
        return ViewPlan(view: view.name, action: .none, version: newest.number, reasons: [])
    }

    /// Why a definition needs a new version.
    static func differences(_ old: FeatureView, _ new: FeatureView) -> [String] {
        var reasons: [String] = []
        let before = Dictionary(uniqueKeysWithValues: old.features.map { ($0.name, $0.type.spelling) })
        let after = Dictionary(uniqueKeysWithValues: new.features.map { ($0.name, $0.type.spelling) })
        for feature in new.features {
            guard let type = before[feature.name] else {
                reasons.append("feature \(feature.name) is new")
                continue
            }
            if type != feature.type.spelling {
                reasons.append("feature \(feature.name) was \(type), is \(feature.type.spelling)")
            }
        }
        for feature in old.features where after[feature.name] == nil {
            reasons.append("feature \(feature.name) is gone")
        }
        if reasons.isEmpty, old.features.map(\.name) != new.features.map(\.name) {
            reasons.append("the order of the features changed")
        }
        if old.entity != new.entity { reasons.append("the entity's keys changed") }
        if old.source.from != new.source.from { reasons.append("the source is another one") }
        if old.source.query != new.source.query { reasons.append("the query changed") }
        if old.source.changes != new.source.changes { reasons.append("the changes query changed") }
        if old.source.eventTime != new.source.eventTime { reasons.append("the event time changed") }
        if old.source.deleted != new.source.deleted { reasons.append("the deleted column changed") }
        return reasons.isEmpty ? ["the way changes are found changed"] : reasons
    }

    private func estimate(_ plan: inout ViewPlan, _ view: FeatureView) async {
        do {
            let reader = try await engine.connector(of: view).open(view)
            do {
                try await reader.check()
                plan.backfillRows = try await reader.estimatedCount()
                let page = try await reader.readRange(after: nil, limit: Self.sampleRows)
                plan.memory = memory(page.rows.keys, view, page, rows: plan.backfillRows)
            } catch {
                plan.note = "\(error)"
            }
            await reader.close()
        } catch {
            plan.note = "\(error)"
        }
    }

    private func memory(
        _ keys: [EntityKey], _ view: FeatureView, _ page: RangePage, rows: Int64?
    ) -> MemoryEstimate? {
        let encoder = ChunkEncoder(view: view, erasures: context.erasures)
        let batch = encoder.encode(page.rows, epoch: 1, position: 1, erased: []).rows
        guard batch.count > 0 else { return nil }
        let space = KeySpace(project: context.project, viewKey: view.key, version: 1)
        var keyBytes = 0
        var rowBytes = 0
        for (index, key) in batch.keys.enumerated() {
            let length = space.rowKey(key).utf8.count
            keyBytes += length
            rowBytes += RedisRowCost.bytes(key: length, value: batch.range(index).count)
        }
        let count = Double(batch.count)
        let perRow = Double(rowBytes) / count
        return MemoryEstimate(
            sampledRows: batch.count, keyBytes: Double(keyBytes) / count,
            valueBytes: Double(batch.bytes.count) / count, bytesPerRow: perRow,
            totalBytes: Int64(perRow * Double(rows ?? Int64(batch.count))))
    }

    // MARK: Applying

    /// Publishes the definitions: begins versions, updates in place, names the catalog. Returns what was done.
    package func apply(_ catalog: Catalog, hash: String) async throws -> [ViewPlan] {
        let plans = try await plan(catalog, estimates: false)
        let now = context.time.wall()
        for (plan, view) in zip(plans, catalog.views) {
            let definition = String(decoding: ViewDocument.encode(view), as: UTF8.self)
            _ = try await context.catalog.updateVersions(of: view.name) { versions in
                switch plan.action {
                case .create, .newVersion:
                    guard versions.version(plan.version ?? 0) == nil else { return false }
                    _ = versions.begin(
                        definition: definition, fingerprint: view.definitionFingerprint,
                        reason: plan.reasons.joined(separator: "; "), at: now)
                case .update:
                    versions.redefine(plan.version ?? 0, definition: definition)
                case .none, .drop: return false
                }
                return true
            }
        }
        let services = catalog.services.map { service in
            (service.name, service.features.map { "\($0.view):\($0.feature)" })
        }
        try await context.catalog.publish(
            CatalogRecord(
                project: catalog.project, hash: hash, views: catalog.views.map(\.name),
                services: Dictionary(services, uniquingKeysWith: { first, _ in first }), appliedAt: now))
        return plans
    }

    /// Begins a new version of a view under the definition it has: `sync --backfill`.
    package func beginBackfill(_ view: FeatureView) async throws -> Int {
        let definition = String(decoding: ViewDocument.encode(view), as: UTF8.self)
        let now = context.time.wall()
        let after = try await context.catalog.updateVersions(of: view.name) { versions in
            _ = versions.begin(
                definition: definition, fingerprint: view.definitionFingerprint, reason: "backfill", at: now)
            return true
        }
        return after.next?.number ?? 0
    }
}
