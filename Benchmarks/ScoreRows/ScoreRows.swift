import Glibc
import Ranking

/// How long a trained model takes to score the candidates of a request: `score-rows FOLDER [ROWS]`. Scores rows that are made of
/// the model's own probes, which are real values, and checks that the probes get the scores that they had when the model was
/// made. Prints a line of JSON, microseconds: the library alone, and the way that the daemon goes.
@main enum ScoreRows {
    private static let calls = 20_000
    /// Calls before those that are timed.
    private static let warmup = 1_000

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard let path = arguments.first, let rows = Int(arguments.dropFirst().first ?? "100"),
            (1...10_000).contains(rows)
        else {
            print("score-rows FOLDER [ROWS]: the folder of a model's versions, and how many rows a call scores (100)")
            exit(2)
        }
        let folder = ModelFolder(path: path)
        guard let current = try folder.currentVersion() else {
            print("\(path) has no current version")
            exit(1)
        }
        let version = try folder.read(current)
        let booster = try Booster(model: version.model)
        let ranker = try XGBoostRanker(version)
        let matrix = matrix(version.manifest.probes, rows: rows)
        let wanted = version.manifest.probeScores
        for (row, score) in try booster.predict(matrix).enumerated()
        where abs(score - wanted[row % wanted.count]) > 1e-4 * max(1, abs(score)) {
            print("row \(row) has the score \(score), not \(wanted[row % wanted.count])")
            exit(1)
        }
        let library = try await time { _ = try booster.predict(matrix) }
        let daemon = try await time { _ = try await ranker.score(matrix, deadline: .now + .seconds(1)) }
        print(
            #"{"rows":\#(rows),"columns":\#(matrix.columns),"trees":\#(try booster.rounds),"calls":\#(calls),"#
                + #""library":{\#(words(library))},"ranker":{\#(words(daemon))}}"#)
    }

    private static func matrix(_ probes: FeatureMatrix, rows: Int) -> FeatureMatrix {
        var matrix = FeatureMatrix(rows: rows, columns: probes.columns)
        for row in 0..<rows {
            for column in 0..<probes.columns { matrix[row, column] = probes[row % probes.rows, column] }
        }
        return matrix
    }

    private static func time(_ body: () async throws -> Void) async throws -> [Duration] {
        var taken: [Duration] = []
        taken.reserveCapacity(calls)
        for call in 0..<calls + warmup {
            let began = ContinuousClock.now
            try await body()
            if call >= warmup { taken.append(ContinuousClock.now - began) }
        }
        return taken.sorted()
    }

    private static func words(_ sorted: [Duration]) -> String {
        func at(_ share: Double) -> Double {
            Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] / .nanoseconds(1)) / 1_000
        }
        return "\"p50\":\(at(0.5)),\"p99\":\(at(0.99)),\"max\":\(at(1))"
    }
}
