package import Ranking

/// A trained model and how good it is.
package struct TrainingResult: Sendable {
    /// How much there was.
    package struct Counts: Sendable, Hashable, Codable {
        package let events: Int
        /// That have events.
        package let users: Int
        package let items: Int
        package let skippedEvents: Int
        package let learned: Int
        package let candidates: Int
        package let tested: Int
        package let historyRows: Int
        package let skippedHistoryRows: Int

        enum CodingKeys: String, CodingKey {
            case events, users, items
            case skippedEvents = "skipped_events"
            case learned = "moments_learned"
            case candidates = "candidates_learned"
            case tested = "moments_tested"
            case historyRows = "history_rows"
            case skippedHistoryRows = "skipped_history_rows"
        }
    }

    /// The same test with the pipeline's filters, by what items were at each moment. What users meet does not know of the rules: an
    /// item that may not be shown and that they met all the same is one that nobody can find.
    package struct Filtered: Sendable, Hashable, Codable {
        /// By name.
        package let filters: [String]
        package let popularity: RankingQuality
        package let recall: RankingQuality
        package let ranked: RankingQuality
    }

    /// UBJSON.
    package let model: [UInt8]
    package let rounds: Int
    package let columns: [RankerColumn]
    package let probes: FeatureMatrix
    /// What most events are about, for everybody.
    package let popularity: RankingQuality
    /// The pipeline in the order of recall, without a model.
    package let recall: RankingQuality
    /// The pipeline with the model.
    package let ranked: RankingQuality
    /// With the pipeline's filters; `nil` where it has none that can be told of the past.
    package let filtered: Filtered?
    /// Filters that can't: their views have no history.
    package let filtersLeftOut: [String]
    package let counts: Counts
    /// When the first moment may be that is learned from, and tested with; microseconds since 1970.
    package let learnedFrom: Int64
    package let testedFrom: Int64
    /// Right behind the last event.
    package let until: Int64
    package let seed: UInt64

    /// Whether the model ranks better than popularity does.
    package var isUseful: Bool { ranked.ndcg > popularity.ndcg }

    /// `model.json` for a version.
    package func manifest(name: String, version: String, training: [String: String]) throws(RankerError)
        -> ModelManifest
    {
        let scores = try Booster(model: model).predict(probes)
        var metrics: [String: Double] = [:]
        for (prefix, quality) in [("", ranked), ("recall_", recall), ("popularity_", popularity)] {
            metrics["\(prefix)ndcg_at_10"] = quality.ndcg
            metrics["\(prefix)map"] = quality.map
            metrics["\(prefix)auc"] = quality.auc
            metrics["\(prefix)recall_at_100"] = quality.recall
        }
        return ModelManifest(
            name: name, version: version, columns: columns, sha256: ModelFolder.digest(of: model), bytes: model.count,
            probes: probes, probeScores: scores, metrics: metrics, training: training)
    }

    /// Writes the model as the folder's next version, and reads it back as the daemon will.
    ///
    /// - Returns: The version. It is not the current one yet.
    package func write(
        to folder: ModelFolder, name: String, training: [String: String]
    ) throws(RankerError) -> String {
        let version = try folder.nextVersion()
        try folder.write(manifest(name: name, version: version, training: training), model: model)
        _ = try XGBoostRanker(folder.read(version), boosters: 1)
        return version
    }
}
