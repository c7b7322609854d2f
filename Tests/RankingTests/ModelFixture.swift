import FeatureModel
import Glibc
import Ranking
import TidemarkTesting

/// A folder with models that were really trained, on rows whose best one is known.
struct ModelFixture {
    let folder: ModelFolder
    let root: String

    static let columns = [
        RankerColumn(.feature(FeatureReference(view: "item_stats", feature: "ctr"))),
        RankerColumn(.feature(FeatureReference(view: "item", feature: "price"))),
        RankerColumn(.recall("similar")),
    ]

    /// Groups of ten rows. The label follows the first column, and the third one less; the second is noise.
    static func set(groups: Int, seed: UInt64, columns: Int = 3) -> RankingSet {
        var random = SeededGenerator(seed: seed)
        var set = RankingSet(columns: columns)
        for _ in 0..<groups {
            var matrix = FeatureMatrix(rows: 10, columns: columns)
            var labels: [Float] = []
            for row in 0..<10 {
                for column in 0..<columns { matrix[row, column] = Float.random(in: 0..<1, using: &random) }
                if Int.random(in: 0..<5, using: &random) == 0 { matrix[row, columns - 1] = .nan }
                labels.append(matrix[row, 0] > 0.8 ? 2 : matrix[row, 0] > 0.6 ? 1 : 0)
            }
            set.append(matrix, labels: labels)
        }
        return set
    }

    static func train(seed: UInt64 = 1, rounds: Int = 20, columns: Int = 3) throws -> TrainedBooster {
        var parameters = BoosterParameters()
        parameters.rounds = rounds
        parameters.depth = 3
        parameters.seed = seed
        return try BoosterTrainer.train(
            set(groups: 100, seed: seed, columns: columns),
            validation: set(groups: 30, seed: seed + 1, columns: columns),
            parameters
        ) { round, _ in Double(round) }
    }

    static func manifest(
        _ model: [UInt8], version: String, name: String = "ranker", columns: [RankerColumn] = Self.columns
    ) throws -> ModelManifest {
        let probes = set(groups: 1, seed: 99, columns: columns.count).matrix(0..<10)
        let scores = try Booster(model: model).predict(probes)
        return ModelManifest(
            name: name, version: version, columns: columns, sha256: ModelFolder.digest(of: model), bytes: model.count,
            probes: probes, probeScores: scores, metrics: ["ndcg_at_10": 0.5])
    }

    /// Makes a folder with one version, which is the current one.
    init(maximumBytes: Int = 1 << 20) throws {
        root = try TemporaryFolder.make()
        folder = ModelFolder(path: "\(root)/models/ranker", maximumBytes: maximumBytes)
        try add("1")
        try folder.setCurrent("1")
    }

    @discardableResult
    func add(_ version: String, seed: UInt64 = 1) throws -> ModelManifest {
        let model = try Self.train(seed: seed).model
        let manifest = try Self.manifest(model, version: version)
        try folder.write(manifest, model: model)
        return manifest
    }

    func remove() {
        TemporaryFolder.remove(root)
    }

    func path(_ version: String, _ file: String) -> String {
        "\(folder.path)/\(version)/\(file)"
    }

    static func read(_ path: String) -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else { return [] }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4 << 20)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }

    static func write(_ path: String, _ bytes: [UInt8]) {
        guard let file = unsafe fopen(path, "w") else { return }
        defer { unsafe fclose(file) }
        unsafe fwrite(bytes, 1, bytes.count, file)
    }
}

extension ContinuousClock.Instant {
    static var soon: Self { .now + .seconds(60) }
}
