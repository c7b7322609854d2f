import FeatureModel
import OnlineStore
import Serving
import Testing

/// What lookups may ask for, read once out of a store.
@Suite(.timeLimit(.minutes(1))) struct ServingCatalogTests {
    private let fixture = CatalogFixture(store: MemoryStore())

    private func catalog() async throws -> ServingCatalog? {
        guard let memory = fixture.store as? MemoryStore else { return nil }
        return try await ServingCatalog.read(from: memory, project: "shop")
    }

    @Test func viewsAreReadUnderTheVersionThatIsCurrent() async throws {
        try await fixture.publish(
            ["activity", "prices", "empty"], services: ["ranker": ["prices:last", "activity:views"]])
        try await fixture.fill(CatalogFixture.view("activity"))
        try await fixture.fill(CatalogFixture.view("activity", ["views"]))
        try await fixture.fill(CatalogFixture.view("prices"))
        try await fixture.fill(CatalogFixture.view("prices", ["other"]), activating: false)
        let catalog = try #require(try await catalog())
        #expect(catalog.generation == 1)
        #expect(catalog.viewNames == ["activity", "prices", "empty"])
        #expect(catalog.versions == ["activity": 2, "prices": 1])
        let references = try catalog.features(ofService: "ranker")
        #expect(references == [.init(view: "prices", feature: "last"), .init(view: "activity", feature: "views")])
        let plan = try catalog.plan(features: references)
        #expect(plan.versions == ["activity": 2, "prices": 1])
        #expect(plan.features == references)
    }

    @Test func whatCantBeReadIsSaidWithItsReason() async throws {
        try await fixture.publish(["activity", "empty", "begun", "broken"], services: ["ranker": ["activity:views"]])
        try await fixture.fill(CatalogFixture.view("activity"))
        try await fixture.fill(CatalogFixture.view("begun"), activating: false)
        try await fixture.spoil("view:broken")
        let catalog = try #require(try await catalog())
        func plan(_ names: String...) -> String {
            words { try catalog.plan(features: names.map { try FeatureReference.parse($0) }) }
        }
        #expect(plan("activity:views").isEmpty)
        #expect(plan("activity:views", "empty:a").hasPrefix("view empty has no filled version yet; `tidemark sync"))
        #expect(plan("begun:views").hasPrefix("view begun has no filled version yet"))
        #expect(plan("broken:views").hasPrefix("view broken can't be read: a control document can't be decoded"))
        #expect(plan("activty:views") == "there is no view activty; did you mean activity?")
        #expect(plan("emty:views") == "there is no view emty; did you mean empty?")
        #expect(plan("activity:view") == "view activity has no feature view; did you mean views?")
        #expect(plan() == "no features are asked for")
        #expect(words { try catalog.features(ofService: "rankr") } == "there is no service rankr; did you mean ranker?")
    }

    @Test(arguments: ["", "a", ":a", "a:", "a:b:c", ":"])
    func whatIsNoFeatureIsRefused(_ name: String) {
        #expect(words { try FeatureReference.parse(name) } == "\"\(name)\" is no feature; write view:feature")
    }

    @Test func aStoreThatNothingWasAppliedToHasNone() async throws {
        #expect(try await catalog() == nil)
        try await fixture.spoil("catalog")
        await #expect(throws: StoreError.self) { try await catalog() }
    }

    @Test func viewsUnderTheNameOfAnotherAreRefused() async throws {
        try await fixture.publish(["activity"])
        let definition = String(decoding: ViewDocument.encode(CatalogFixture.view("prices")), as: UTF8.self)
        _ = try await fixture.documents.updateVersions(of: "activity") { versions in
            let number = versions.begin(definition: definition, fingerprint: "f", reason: "test", at: 1)
            return versions.finishBuilding(number) && versions.activate(number, at: 2, keepPrevious: .seconds(60))
        }
        let catalog = try #require(try await catalog())
        #expect(words { try catalog.plan(features: [.init(view: "activity", feature: "views")]) }.contains("prices"))
    }
}
