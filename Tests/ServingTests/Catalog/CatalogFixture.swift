import FeatureModel
import Logging
import OnlineStore
import RedisClient
import Serving
import Synchronization
import TidemarkTesting

/// A project's control documents in a store, put there as `apply` and the sync engine put them.
struct CatalogFixture {
    let store: any OnlineStore
    var documents: CatalogStore { CatalogStore(store) }

    static func view(_ name: String, _ features: [String] = ["views", "last"]) -> FeatureView {
        FeatureView(
            name: name, entity: Entity(name: "user", keys: [Entity.Key(name: "user_id", type: .int64)]),
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800),
            features: features.map { Feature(name: $0, type: .scalar(.int64)) })
    }

    func publish(_ views: [String], services: [String: [String]] = [:], hash: String = "h1") async throws {
        try await documents.publish(
            CatalogRecord(project: "shop", hash: hash, views: views, services: services, appliedAt: 1))
    }

    /// Begins a version and, unless told otherwise, makes it the one that is read.
    func fill(_ view: FeatureView, activating: Bool = true) async throws {
        let definition = String(decoding: ViewDocument.encode(view), as: UTF8.self)
        _ = try await documents.updateVersions(of: view.name) { versions in
            let number = versions.begin(definition: definition, fingerprint: "f", reason: "test", at: 1)
            guard activating else { return true }
            return versions.finishBuilding(number) && versions.activate(number, at: 2, keepPrevious: .seconds(60))
        }
    }

    /// Puts bytes that make no sense in the place of a document.
    func spoil(_ name: String) async throws {
        let revision = try await store.document(name)?.revision ?? 0
        _ = try await store.replaceDocument(name, bytes: Array("{\"views\":".utf8), expecting: revision)
    }

    /// Takes what `spoil` did back.
    func restore(_ name: String, _ document: Document?) async throws {
        guard let document, let revision = try await store.document(name)?.revision else { return }
        _ = try await store.replaceDocument(name, bytes: document.bytes, expecting: revision)
    }

    func watcher(
        _ clock: ManualClock = ManualClock(), interval: Duration = .seconds(1), random: Double = 0.5
    ) -> CatalogWatcher {
        CatalogWatcher(
            store: store, project: "shop", interval: interval, clock: clock.serving(random: random),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}

extension ManualClock {
    /// This clock for the daemon's services.
    func serving(random: Double = 0.5) -> ServingClock {
        ServingClock(
            now: { self.now }, sleep: { try await self.sleep(until: self.now + $0, tolerance: nil) },
            random: { random })
    }
}

/// The words of the error that `body` throws; empty when it doesn't.
func words<Answer>(_ body: () throws -> Answer) -> String {
    do {
        _ = try body()
        return ""
    } catch {
        return "\(error)"
    }
}
