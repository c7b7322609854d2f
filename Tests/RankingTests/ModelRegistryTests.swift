import FeatureModel
import Foundation
import Glibc
import Ranking
import Synchronization
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(3))) struct ModelRegistryTests {
    private func registry(
        _ fixture: ModelFixture, check: @escaping ModelRegistry.ColumnCheck = { _, _ in nil }
    ) -> ModelRegistry {
        ModelRegistry(folders: ["ranker": fixture.folder], check: check)
    }

    @Test func currentVersionIsLoadedAndSwappedWhole() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let registry = registry(fixture)
        #expect(registry.ranker("ranker") == nil)
        await registry.load()
        #expect(registry.ranker("ranker")?.version == "1")
        try fixture.add("2", seed: 2)
        try fixture.folder.setCurrent("2")
        #expect(registry.ranker("ranker")?.version == "1")
        let status = try await registry.reload("ranker")
        #expect(status.isChanged)
        #expect(status.live?.version == "2")
        #expect(status.previous?.version == "1")
        #expect(status.versions == ["1", "2"], "an answer to a reload tells what there is, as the list does")
        #expect(registry.ranker("ranker")?.version == "2")
        #expect(registry.ranker("ranker")?.columns == ModelFixture.columns)
    }

    @Test func reloadOfTheSameVersionChangesNothing() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let registry = registry(fixture)
        await registry.load()
        let status = try await registry.reload("ranker")
        #expect(!status.isChanged)
        #expect(status.previous == nil)
        #expect(status.loads == 1)
    }

    @Test func rollbackGoesBackInOneCallAndStaysAfterARestart() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        try fixture.add("2", seed: 2)
        let registry = registry(fixture)
        await registry.load()
        _ = try await registry.reload("ranker", version: "2")
        let status = try await registry.rollback("ranker")
        #expect(status.live?.version == "1")
        #expect(status.previous?.version == "2")
        #expect(status.versions == ["1", "2"])
        #expect(try fixture.folder.currentVersion() == "1")
        let again = try await registry.rollback("ranker")
        #expect(again.live?.version == "2")
    }

    @Test func aVersionThatIsGoneFromTheFolderIsNotMadeTheCurrentOne() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        try fixture.add("2", seed: 2)
        let registry = registry(fixture)
        await registry.load()
        _ = try await registry.reload("ranker", version: "2")
        try FileManager.default.removeItem(atPath: "\(fixture.folder.path)/1")
        await #expect { _ = try await registry.rollback("ranker") } throws: {
            ($0 as? RankerError)?.code == .notFound
        }
        #expect(try fixture.folder.currentVersion() == "2")
        #expect(registry.ranker("ranker")?.version == "2")
    }

    @Test func rollbackAfterARestartFindsTheVersionBefore() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        try fixture.add("2", seed: 2)
        try fixture.folder.setCurrent("2")
        let registry = registry(fixture)
        await registry.load()
        let status = try await registry.rollback("ranker")
        #expect(status.live?.version == "1")
        let empty = self.registry(fixture)
        await #expect { _ = try await empty.rollback("ranker") } throws: {
            ($0 as? RankerError)?.code == .notFound
        }
    }

    @Test func rollbackTowardsAVersionIsMadeOnce() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        try fixture.add("2", seed: 2)
        try fixture.add("3", seed: 3)
        let registry = registry(fixture)
        await registry.load()
        _ = try await registry.reload("ranker", version: "2")
        let target = try await registry.rollbackTarget("ranker")
        #expect(target == "1")
        for _ in 0..<2 {
            #expect(try await registry.rollback("ranker", to: target, from: "2").live?.version == "1")
            #expect(try fixture.folder.currentVersion() == "1")
        }
        // The same behind a restart, where the registry has forgotten what was live before.
        let next = self.registry(fixture)
        await next.load()
        #expect(try await next.rollback("ranker", to: target, from: "2").live?.version == "1")
        _ = try await next.reload("ranker", version: "3")
        await #expect { _ = try await next.rollback("ranker", to: target, from: "2") } throws: {
            ($0 as? RankerError)?.code == .mismatch
        }
        #expect(try fixture.folder.currentVersion() == "3")
    }

    @Test func featuresThatTheCatalogHasNotAreRefusedAtLoad() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let registry = registry(fixture) { _, columns in
            ModelColumns.problem(columns, service: nil) { reference in
                reference.feature == "ctr" ? .scalar(.float64) : nil
            }
        }
        await registry.load()
        #expect(registry.ranker("ranker") == nil)
        #expect(registry.status("ranker").problem?.contains("item:price") == true)
    }

    @Test func columnsAreCheckedAgainstTypeAndService() {
        let price = FeatureReference(view: "item", feature: "price")
        let column = RankerColumn(.feature(price))
        #expect(ModelColumns.problem([column], service: [price]) { _ in .scalar(.float64) } == nil)
        #expect(ModelColumns.problem([column], service: []) { _ in .scalar(.float64) } != nil)
        #expect(ModelColumns.problem([column], service: nil) { _ in .scalar(.string) } != nil)
        #expect(ModelColumns.problem([RankerColumn(.recall("x"))], service: []) { _ in nil } == nil)
    }

    @Test func unknownModelsAndVersionsAreRefused() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let registry = registry(fixture)
        for version in ["7", "../ranker/1", "/etc", "..", ".", "", "current", String(repeating: "1", count: 65)] {
            await #expect { _ = try await registry.reload("ranker", version: version) } throws: {
                ($0 as? RankerError)?.code == .notFound
            }
        }
        await #expect { _ = try await registry.reload("other") } throws: { ($0 as? RankerError)?.code == .notFound }
    }

    @Test func everyHostileFolderIsRefusedAndTheLiveOneServes() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let registry = registry(fixture)
        await registry.load()
        for (turn, hostility) in Hostility.allCases.enumerated() {
            try hostility.add(to: fixture, version: "9\(turn)")
            await #expect("\(hostility)") { _ = try await registry.reload("ranker", version: "9\(turn)") } throws: {
                guard let code = ($0 as? RankerError)?.code else { return false }
                return hostility.codes.contains(code)
            }
            #expect(registry.ranker("ranker")?.version == "1")
            #expect(registry.status("ranker").problem?.hasPrefix("9\(turn): ") == true)
        }
        #expect(registry.status("ranker").refusals == Hostility.allCases.count)
    }

    @Test func hostileCurrentIsRefused() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let current = "\(fixture.folder.path)/current"
        for text in ["../1", "", "1\n2", String(repeating: "9", count: 200)] {
            ModelFixture.write(current, Array(text.utf8))
            #expect(throws: RankerError.self) { try fixture.folder.currentVersion() }
        }
        unsafe unlink(current)
        #expect(try fixture.folder.currentVersion() == nil)
        unsafe mkfifo(current, 0o600)
        #expect(throws: RankerError.self) { try fixture.folder.currentVersion() }
        unsafe unlink(current)
        unsafe symlink("/etc/hostname", current)
        #expect(throws: RankerError.self) { try fixture.folder.currentVersion() }
    }

    @Test func hundredReloadsUnderReadersDisturbNobody() async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let registry = registry(fixture)
        await registry.load()
        var good: [String: [Float]] = [:]
        let matrix = ModelFixture.set(groups: 1, seed: 3).matrix(0..<10)
        for version in ["1", "2", "3"] {
            if version != "1" { try fixture.add(version, seed: UInt64(version) ?? 0) }
            good[version] = try await XGBoostRanker(fixture.folder.read(version)).score(matrix, deadline: .soon)
        }
        for (turn, hostility) in Hostility.allCases.enumerated() {
            try hostility.add(to: fixture, version: "9\(turn)")
        }
        let before = residentBytes()
        let isDone = Flag()
        try await withThrowingTaskGroup(of: Int.self) { [good] group in
            for _ in 0..<3 {
                group.addTask {
                    var scored = 0
                    while !isDone.isSet {
                        let ranker = try #require(registry.ranker("ranker"))
                        let scores = try await ranker.score(matrix, deadline: .soon)
                        #expect(scores == good[ranker.version])
                        scored += 1
                        await Task.yield()
                    }
                    return scored
                }
            }
            var random = SeededGenerator(seed: 4)
            for turn in 0..<100 {
                let bad = Int.random(in: 0..<Hostility.allCases.count, using: &random)
                let version = turn % 2 == 0 ? "\(turn / 2 % 3 + 1)" : "9\(bad)"
                if turn % 2 == 0 {
                    _ = try await registry.reload("ranker", version: version)
                } else {
                    await #expect(throws: RankerError.self) {
                        _ = try await registry.reload("ranker", version: version)
                    }
                }
            }
            isDone.set()
            for try await scored in group { #expect(scored > 0) }
        }
        #expect(registry.status("ranker").refusals == 50)
        #expect(residentBytes() - before < 64 << 20)
    }

    private func residentBytes() -> Int {
        let text = String(decoding: ModelFixture.read("/proc/self/statm"), as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }
}

/// Tells readers to end.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// Each way in which a version's folder can be wrong.
enum Hostility: CaseIterable {
    case noFolder, folderIsFile, folderIsLink, noManifest, noModel, truncated, flipped, longer, wrongDigest, wrongName
    case wrongVersion, wrongFeatures, probesOff, probesNone, modelIsLink, modelIsPipe, modelIsFolder, modelIsHoles
    case manifestIsLink, manifestIsPipe, manifestIsHoles, manifestIsNoise, manifestIsDeep, noTrees, modelIsNoise
    case modelIsEmpty, modelIsTruncatedWithItsDigest

    var codes: Set<RankerError.Code> {
        switch self {
        case .noFolder, .noManifest, .noModel: [.notFound]
        case .modelIsHoles, .manifestIsHoles: [.tooLarge]
        case .wrongName, .wrongFeatures, .probesOff: [.mismatch]
        default: [.corrupt]
        }
    }

    func add(to fixture: ModelFixture, version: String) throws {
        let model = ModelFixture.read(fixture.path("1", "model.ubj"))
        var manifest = try ModelFixture.manifest(model, version: version)
        switch self {
        case .noFolder: return
        case .folderIsFile: return ModelFixture.write("\(fixture.folder.path)/\(version)", [1])
        case .folderIsLink:
            unsafe symlink("\(fixture.folder.path)/1", "\(fixture.folder.path)/\(version)")
            return
        case .noTrees, .modelIsNoise, .modelIsEmpty, .modelIsTruncatedWithItsDigest:
            return try addParsed(to: fixture, version, model)
        case .wrongDigest: manifest.sha256 = String(repeating: "0", count: 64)
        case .wrongName: manifest.name = "other"
        case .wrongVersion: manifest.version = "1"
        case .wrongFeatures:
            manifest.columns.removeLast()
            manifest.probes = ModelFixture.set(groups: 1, seed: 1, columns: 2).matrix(0..<10)
        case .probesOff: manifest.probeScores[3] += 0.01
        case .probesNone:
            manifest.probes = FeatureMatrix(rows: 0, columns: 3)
            manifest.probeScores = []
        default: break
        }
        var written = manifest
        written.version = version
        try fixture.folder.write(written, model: model)
        if self == .wrongVersion {
            ModelFixture.write(fixture.path(version, "model.json"), try manifest.json())
        }
        damage(fixture.path(version, "model.ubj"), fixture.path(version, "model.json"), model)
    }

    /// A model file whose digest is right, so that XGBoost's own reader meets it.
    private func addParsed(to fixture: ModelFixture, _ version: String, _ model: [UInt8]) throws {
        let bytes: [UInt8] =
            switch self {
            case .noTrees: Array(Self.withoutTrees.utf8)
            case .modelIsNoise: (0..<1_000).map { UInt8($0 % 251) }
            case .modelIsTruncatedWithItsDigest: Array(model[..<(model.count / 2)])
            default: []
            }
        var manifest = try ModelFixture.manifest(model, version: version)
        manifest.sha256 = ModelFolder.digest(of: bytes)
        manifest.bytes = bytes.count
        try fixture.folder.write(manifest, model: bytes)
    }

    private func damage(_ model: String, _ manifest: String, _ bytes: [UInt8]) {
        switch self {
        case .noManifest: unsafe unlink(manifest)
        case .noModel: unsafe unlink(model)
        case .truncated: unsafe truncate(model, bytes.count / 2)
        case .longer: ModelFixture.write(model, bytes + [0])
        case .flipped:
            var flipped = bytes
            flipped[bytes.count / 3] ^= 0x10
            ModelFixture.write(model, flipped)
        case .modelIsLink, .manifestIsLink:
            let path = self == .modelIsLink ? model : manifest
            unsafe rename(path, path + ".real")
            unsafe symlink(path + ".real", path)
        case .modelIsPipe, .manifestIsPipe:
            let path = self == .modelIsPipe ? model : manifest
            unsafe unlink(path)
            unsafe mkfifo(path, 0o600)
        case .modelIsFolder:
            unsafe unlink(model)
            unsafe mkdir(model, 0o700)
        case .modelIsHoles: unsafe truncate(model, 10 << 30)
        case .manifestIsHoles: unsafe truncate(manifest, 10 << 30)
        case .manifestIsNoise: ModelFixture.write(manifest, (0..<1_000).map { UInt8($0 % 251) })
        case .manifestIsDeep: ModelFixture.write(manifest, [UInt8](repeating: 0x5b, count: 1 << 20))
        default: break
        }
    }

    private static let withoutTrees = """
        {"learner":{"attributes":{},"feature_names":[],"feature_types":[],"gradient_booster":{"model":{\
        "gbtree_model_param":{"num_parallel_tree":"1","num_trees":"0","size_leaf_vector":"0"},"tree_info":[],\
        "trees":[]},"name":"gbtree"},"learner_model_param":{"base_score":"5E-1","boost_from_average":"1",\
        "num_class":"0","num_feature":"3","num_target":"1"},"objective":{"lambda_rank_param":{"fix_list_weight":"0",\
        "num_pairsample":"1"},"name":"rank:ndcg"}},"version":[1,7,4]}
        """
}
