package import Extraction
import FeatureModel
import Ranking

/// Trains one model: events → moments → candidates of recall with features as they were → LambdaMART → a test by time.
///
/// Three stretches of time, in order: what recall is built from; moments to learn from, the last of them to stop early;
/// moments to test with, for which recall is built anew from all before them. No stretch sees a later one.
package struct RankerTraining: Sendable {
    /// The sources of a config by name.
    package typealias Sources = @Sendable (_ name: String) async throws -> any QuerySource
    /// The plan's recall sources, in its order, built of events before that time only (microseconds since 1970).
    package typealias Recall = @Sendable (_ until: Int64) async throws -> [any CandidateSource]
    /// What is being done, for people.
    package typealias Progress = @Sendable (_ step: String) -> Void

    package let plan: TrainingPlan
    private let sources: Sources
    private let recall: Recall
    private let progress: Progress

    package init(
        _ plan: TrainingPlan, sources: @escaping Sources, recall: @escaping Recall,
        progress: @escaping Progress = { _ in }
    ) {
        self.plan = plan
        self.sources = sources
        self.recall = recall
        self.progress = progress
    }

    /// Trains and tests. Nothing is written.
    package func run() async throws -> TrainingResult {
        progress("reading events")
        let log = try await EventLog.read(plan, from: sources(plan.config.from))
        guard log.events.count >= 100 else {
            throw TrainingError(.tooFew, "there are \(log.events.count) events to learn from; 100 are the least")
        }
        let split = Split(log, plan)
        let picker = MomentPicker(
            log: log, recent: plan.config.recent, horizon: plan.config.horizon.microseconds,
            delay: plan.config.delay.microseconds, seed: plan.seed)
        // What is relevant for a moment of one stretch may not lie in the next one.
        let horizon = plan.config.horizon.microseconds
        let learned = picker.pick(in: split.start..<max(split.start, split.test - horizon), limit: plan.config.groups)
        let tested = picker.pick(in: split.test..<max(split.test, split.end - horizon), limit: plan.config.testGroups)
        guard learned.count >= 20, tested.count >= 5 else {
            throw TrainingError(
                .tooFew,
                "there are \(learned.count) moments to learn from and \(tested.count) to test with; 20 and 5 are the least"
            )
        }
        var builder = try await SetBuilder(plan, log, sources)
        do {
            progress("recall as of the first moment")
            try await builder.learn(learned, CandidateGatherer(plan: plan, sources: recall(split.start)), progress)
            progress("recall as of the first test")
            try await builder.hold(
                tested, CandidateGatherer(plan: plan, sources: recall(split.test)),
                PopularItems(log, before: split.test), progress)
        } catch {
            await builder.close()
            throw error
        }
        await builder.close()
        let trained = try train(builder)
        return try await evaluate(trained, builder, log, split, tested)
    }

    private func train(_ builder: SetBuilder) throws -> TrainedBooster {
        guard builder.training.groups.count >= 10, builder.validation.groups.count >= 2 else {
            throw TrainingError(
                .tooFew,
                "recall finds what came next for only \(builder.training.groups.count) moments: 10 are the least")
        }
        progress("training on \(builder.training.groups.count) moments, \(builder.training.rows) candidates")
        var parameters = plan.booster
        parameters.seed = plan.seed
        let held = (builder.validation.labels, builder.validation.groups)
        return try BoosterTrainer.train(builder.training, validation: builder.validation, parameters) { round, scores in
            let ndcg = MomentScore.ndcg(scores, held)
            if round % 25 == 0 { progress("round \(round): NDCG@10 \(ndcg)") }
            return ndcg
        }
    }

    private func evaluate(
        _ trained: TrainedBooster, _ builder: SetBuilder, _ log: EventLog, _ split: Split, _ tested: [Moment]
    ) async throws -> TrainingResult {
        progress("testing with \(tested.count) moments")
        let booster = try Booster(model: trained.model)
        var (plain, filtered) = (ThreeWays(), ThreeWays())
        for (moment, held) in zip(tested, builder.held) {
            try Task.checkCancellation()
            let blended = held.blended(try booster.predict(held.matrix), recallShare: plan.recallShare)
            if let popularity = held.popularity {
                plain.popularity.append(popularity.plain)
                filtered.popularity.append(popularity.filtered)
            }
            plain.recall.append(held.score(held.order, moment))
            plain.ranked.append(held.score(blended, moment))
            guard !builder.filters.isEmpty else { continue }
            filtered.recall.append(held.score(held.order, moment, builder.filters))
            filtered.ranked.append(held.score(blended, moment, builder.filters))
        }
        return TrainingResult(
            model: trained.model, rounds: trained.rounds, columns: plan.columns,
            probes: builder.training.matrix(0..<min(16, builder.training.rows)),
            popularity: RankingQuality(plain.popularity), recall: RankingQuality(plain.recall),
            ranked: RankingQuality(plain.ranked), filtered: builder.filters.isEmpty ? nil : plan.filtered(filtered),
            filtersLeftOut: plan.filtersLeftOut,
            counts: .init(
                events: log.events.count, users: log.users.count, items: log.items.count, skippedEvents: log.skipped,
                learned: builder.training.groups.count,
                candidates: builder.training.rows, tested: tested.count, historyRows: builder.historyRows,
                skippedHistoryRows: builder.skippedHistoryRows),
            learnedFrom: split.start, testedFrom: split.test, until: split.end, seed: plan.seed)
    }
}

/// The scores of each moment of the test.
private struct ThreeWays {
    var popularity: [MomentScore] = []
    var recall: [MomentScore] = []
    var ranked: [MomentScore] = []
}

extension TrainingPlan {
    fileprivate func filtered(_ scores: ThreeWays) -> TrainingResult.Filtered {
        TrainingResult.Filtered(
            filters: filters.map(\.name), popularity: RankingQuality(scores.popularity),
            recall: RankingQuality(scores.recall), ranked: RankingQuality(scores.ranked))
    }
}

/// The stretches of time, in microseconds since 1970.
struct Split {
    let start: Int64
    let test: Int64
    let end: Int64

    init(_ log: EventLog, _ plan: TrainingPlan) {
        start = log.time(atShare: plan.config.warmup)
        test = log.time(atShare: 1 - plan.config.holdout)
        end = (log.events.last?.time ?? 0) + 1
    }
}
