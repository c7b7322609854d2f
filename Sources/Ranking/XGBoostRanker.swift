import Glibc
import Synchronization

/// A model that XGBoost scores with, in this process.
///
/// Immutable: another version is another ranker. Scoring takes no lock for longer than to take a booster, and runs where the caller's
/// task runs: what is not immediate belongs on no event loop.
package final class XGBoostRanker: Ranker {
    package let manifest: ModelManifest
    private let pool: BoosterPool
    private let openScoreCount = Atomic<Int>(0)

    /// The most rows of one call.
    package static let maximumRows = 10_000
    /// The most rows, times bytes of the model, that are scored at once where waiting is not a thing: some 400 µs.
    private static let immediateWork = 50_000_000

    /// Makes a ranker of a version and tries it.
    ///
    /// - Throws: Why it must not be used: `corrupt` or `mismatch`.
    package init(_ version: ModelFolder.Version, boosters: Int = BoosterCount.standard) throws(RankerError) {
        let manifest = version.manifest
        var made: [Booster] = []
        for _ in 0..<max(1, boosters) {
            let booster = try Booster(model: version.model)
            try Self.validate(booster, manifest)
            made.append(booster)
        }
        self.manifest = manifest
        pool = BoosterPool(made)
    }

    package var name: String { manifest.name }
    package var version: String { manifest.version }
    package var columns: [RankerColumn] { manifest.columns }

    /// By its bytes, which count what rounds don't: trees that a round has beside each other, and how deep they are.
    package func isImmediate(rows: Int) -> Bool { rows * manifest.bytes <= Self.immediateWork }

    /// How many scores the model left open, NaN or infinite.
    package var openScores: Int { openScoreCount.load(ordering: .relaxed) }

    @concurrent package func score(
        _ matrix: FeatureMatrix, deadline: ContinuousClock.Instant
    ) async throws(RankerError) -> [Float] {
        try check(matrix)
        guard matrix.rows <= Self.maximumRows else {
            throw RankerError(.tooLarge, "too many rows", detail: "\(matrix.rows), \(Self.maximumRows) at most")
        }
        guard ContinuousClock.now < deadline else { throw RankerError(.deadlineExceeded, "no time is left to score") }
        var scores = try pool.predict(matrix)
        let open = FiniteScores.lowerOpen(&scores)
        if open > 0 { openScoreCount.add(open, ordering: .relaxed) }
        return scores
    }

    // MARK: Trying

    /// How far a probe's score may be from the one it had: libraries add up in another order.
    private static let tolerance: Float = 1e-4

    private static func validate(_ booster: Booster, _ manifest: ModelManifest) throws(RankerError) {
        let columns = try booster.columns
        guard columns == manifest.columns.count else {
            throw RankerError(
                .mismatch, "the model has other columns than model.json",
                detail: "\(columns), model.json has \(manifest.columns.count)")
        }
        guard try booster.rounds > 0 else { throw RankerError(.corrupt, "the model has no trees") }
        // Twice: the first call of a booster sets it up, and must not be a request's.
        for _ in 0..<2 {
            let scores = try booster.predict(manifest.probes)
            for (row, (found, expected)) in zip(scores, manifest.probeScores).enumerated()
            where !(abs(found - expected) <= tolerance * max(1, abs(expected))) {
                throw RankerError(
                    .mismatch, "the model scores otherwise than when it was made",
                    detail: "probe \(row): \(found), expected \(expected), XGBoost \(Booster.libraryVersion)")
            }
        }
    }
}

/// How many boosters a model gets.
package enum BoosterCount {
    /// One for each task that can run at once, at most 16.
    package static var standard: Int {
        min(16, max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    }
}

/// What is done about scores that are no finite number.
package enum FiniteScores {
    /// Makes each the lowest there is; returns how many there were.
    package static func lowerOpen(_ scores: inout [Float]) -> Int {
        var open = 0
        for index in scores.indices where !scores[index].isFinite {
            scores[index] = -Float.greatestFiniteMagnitude
            open += 1
        }
        return open
    }
}
