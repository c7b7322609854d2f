import FeastRows
import FeatureModel
import OnlineStore
import RedisClient
import ServingProtos
import SwiftProtobuf
import Testing
import TidemarkTesting

/// Feast's rows through the calls of our own store, over a real Redis and a registry file of the test's own.
@Suite(.enabled(if: RedisServer.isAvailable), .timeLimit(.minutes(1))) struct FeastStoreTests {
    @Test func rowsComeOutAsOurs() async throws {
        try await FeastHome.with { home in
            try await home.write(
                "stats", ["driver_id": .int64(1)],
                ["rate": .with { $0.floatVal = 0.5 }, "tags": .with { $0.stringListVal.val = ["a"] }], at: 100)
            try await home.write("stats", ["driver_id": .int64(2)], ["rate": .with { $0.nullVal = .null }], at: 50)
            let answer = try await home.lookup(
                ["stats:rate", "stats:tags"], ["driver_id": [1, 2, 3]], now: 100_000_000)
            #expect(answer.rows[0].map(\.value) == [.float32(0.5), .list([.string("a")])])
            #expect(
                answer.rows.map { $0.map(\.status) }
                    == [[.present, .present], [.nullValue, .nullValue], [.notFound, .notFound]])
            // Older than the view's ttl of 90 s.
            let late = try await home.lookup(["stats:rate"], ["driver_id": [1, 2]], now: 141_000_000)
            #expect(late.rows.map { $0[0].status } == [.present, .outsideMaxAge])
            #expect(late.rows[0][0].age == .seconds(41))
        }
    }

    @Test func keysOfEveryTypeAreFound() async throws {
        try await FeastHome.with { home in
            try await home.write(
                "pair", ["shelf": .int32(-4), "name": .string("ï,3"), "hour": .timestamp(3_600)],
                ["x": .with { $0.int64Val = 9 }], at: 1)
            let store = try home.store()
            let catalog = try await home.definition("pair", of: store)
            #expect(catalog.entity.keys.map(\.type) == [.int32, .string, .int64])
            let key = try #require(EntityKey([.integer(-4), .text("ï,3"), .integer(3_600)]))
            let other = try #require(EntityKey([.integer(-4), .text("ï,3"), .integer(3_601)]))
            let rows = try await store.read(
                [key, other], in: KeySpace(project: "shop", viewKey: catalog.key, version: 0))
            #expect(rows[0] != nil && rows[1] == nil)
            await store.close()
        }
    }

    @Test func whatMakesNoSenseFailsForItsEntityAlone() async throws {
        try await FeastHome.with { home in
            for driver in 1...4 {
                try await home.write(
                    "stats", ["driver_id": .int64(Int64(driver))], ["rate": .with { $0.floatVal = 1 }], at: 100)
            }
            // A text where the view says a number; bytes that are no value; a key that holds no hash.
            try await home.write("stats", ["driver_id": .int64(2)], ["rate": .with { $0.stringVal = "x" }], at: 100)
            try await home.writeRaw("stats", ["driver_id": .int64(3)], "rate", [0xff])
            try await home.writeForeign("stats", ["driver_id": .int64(4)])
            let answer = try await home.lookup(["stats:rate"], ["driver_id": [1, 2, 3, 4]], now: 100_000_000)
            #expect(answer.rows.map { $0[0].status } == [.present, .failed, .failed, .failed])
            #expect(answer.failures.isEmpty)
        }
    }

    @Test func manyEntitiesAreReadInSeveralPipelines() async throws {
        try await FeastHome.with { home in
            for driver in stride(from: 1, through: 1_000, by: 3) {
                try await home.write(
                    "stats", ["driver_id": .int64(Int64(driver))], ["rate": .with { $0.floatVal = Float(driver) }],
                    at: 100)
            }
            let answer = try await home.lookup(["stats:rate"], ["driver_id": Array(1...1_000)], now: 100_000_000)
            for (index, row) in answer.rows.enumerated() {
                #expect(row[0].value == (index % 3 == 0 ? .float32(Float(index + 1)) : .null), "driver \(index + 1)")
            }
        }
    }

    @Test func aChangedRegistryIsReadAgainAndOldPlansGoOn() async throws {
        try await FeastHome.with { home in
            try await home.write("stats", ["driver_id": .int64(1)], ["rate": .with { $0.floatVal = 0.5 }], at: 100)
            let store = try home.store()
            let before = try await store.documents([CatalogStore.catalogName, CatalogStore.versionsName("stats")])
            let old = try await home.definition("stats", of: store)
            #expect(before.allSatisfy { $0?.revision == 1 })
            // The same definitions in a file that is another: what materializing does.
            home.registry.featureViews[0].meta.currentVersionNumber = 0
            home.registry.registrySchemaVersion = "2"
            try home.writeRegistry()
            #expect(
                try await store.documents([CatalogStore.catalogName, CatalogStore.versionsName("stats")]) == before)
            home.registry.featureViews[0].spec.features.append(.with { ($0.name, $0.valueType) = ("more", .int64) })
            try home.writeRegistry()
            let after = try await store.documents([CatalogStore.catalogName, CatalogStore.versionsName("stats")])
            #expect(after.allSatisfy { $0?.revision == 2 })
            let new = try await home.definition("stats", of: store)
            #expect(new.features.count == old.features.count + 1 && new.key != old.key)
            for view in [old, new] {
                let key = try #require(EntityKey([.integer(1)]))
                let rows = try await store.read([key], in: KeySpace(project: "shop", viewKey: view.key, version: 0))
                #expect(rows.first.flatMap(\.self)?.isEmpty == false)
            }
            await store.close()
        }
    }

    @Test func aRegistryThatIsGoneIsAnErrorUntilItIsBack() async throws {
        try await FeastHome.with { home in
            let store = try home.store()
            let before = try await store.document(CatalogStore.catalogName)
            for rubbish in ["SQLite format 3", ""] {
                try home.workdir.write(rubbish, to: "registry.db")
                await #expect { try await store.document(CatalogStore.catalogName) } throws: {
                    ($0 as? StoreError)?.code == .misconfigured
                }
                // Said again at each look, though the file is read once.
                await #expect(throws: StoreError.self) { try await store.document(CatalogStore.catalogName) }
            }
            try home.writeRegistry()
            #expect(try await store.document(CatalogStore.catalogName) == before)
            await store.close()
        }
    }

    @Test func nothingIsWritten() async throws {
        try await FeastHome.with { home in
            let store = try home.store()
            await #expect(throws: StoreError.self) {
                try await store.replaceDocument("catalog", bytes: [], expecting: 0)
            }
            await #expect(throws: StoreError.self) {
                try await store.acquireLease("x", owner: "y", duration: .seconds(1))
            }
            await #expect(throws: StoreError.self) {
                try await store.remove([], in: KeySpace(project: "shop", viewKey: "x", version: 0))
            }
            await store.close()
        }
    }
}
