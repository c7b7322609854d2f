import FeatureModel
import OnlineStore
import Recall
import Resilience

/// Candidates that passed all filters, with what is known of them.
struct Prepared: Sendable {
    var candidates: [Candidate]
    let user: UserFacts
    /// `nil` where no rows are read, or none could be.
    let rows: ItemRows?
    /// Whether the rows that a model needs are all there.
    let isWhole: Bool
}

extension RecommendRun {
    /// User, candidates and their rows, filtered; `nil` when that can't be had and a lower rung must answer.
    mutating func prepare() async -> Prepared? {
        guard let plan else { return nil }
        guard let (user, results) = await gather(plan) else { return nil }
        trace?.user = user.all
        let candidates = request.candidates.map { given($0) } ?? merge(results)
        guard !candidates.isEmpty else {
            leave("candidates", "none")
            return nil
        }
        return await filtered(candidates, user, plan)
    }

    /// The user's row and what the sources gave; `nil` when the row, or every source, did not come.
    private mutating func gather(_ plan: PipelinePlan) async -> (UserFacts, [SourceResult])? {
        let began = clock.now()
        guard plan.user != nil else {
            let user = UserFacts(nil, nil, context: request.context)
            return await recall(user, []).map { (user, $0) }
        }
        guard let until = begin(.user) else {
            leave("user", "no_time")
            return nil
        }
        // What needs nothing of the user doesn't wait for the row.
        let jobs = sourceJobs(
            needingUser: false, UserFacts(nil, nil, context: request.context), until: plannedCut(until))
        let (results, read): ([SourceOutcome], CallResult<LookupAnswer?>)
        if jobs.allSatisfy(\.source.source.isImmediate) {
            // Over sooner than a task of its own would begin.
            results = await Self.ask(jobs, callout)
            read = await readUser(plan, until)
        } else {
            async let early = Self.ask(jobs, callout)
            read = await readUser(plan, until)
            results = await early
        }
        guard case .value(let answer) = read else {
            guard case .left(let reason) = read else { return nil }
            end("user", reason, since: began, until: until)
            leave("user", reason)
            return nil
        }
        end("user", "ok", since: began, until: until)
        let user = UserFacts(plan.user, answer, context: request.context)
        exclusions = Exclusions(request, pipeline, user)
        return await recall(user, results).map { (user, $0) }
    }

    private func readUser(_ plan: PipelinePlan, _ until: ContinuousClock.Instant) async -> CallResult<LookupAnswer?> {
        guard let side = plan.user else { return .value(nil) }
        let (entity, rows, now) = (request.entity, environment.rows, clock.wall())
        let full = isFull(.user, until: until)
        let read = { @Sendable (isSecond: Bool) async throws -> LookupAnswer? in
            let keys = try LookupKeys(side.plan, EntityColumns([entity]))
            var packed =
                isSecond
                ? try await rows.readAgain(side.plan, keys, deadline: until)
                : try await rows.read(side.plan, keys, deadline: until)
            let answer = LookupAnswer(side.plan, keys, &packed, now: now)
            guard answer.failures.isEmpty else {
                // One user's damaged row says nothing about the store.
                throw CandidateError("corrupt", isFault: false)
            }
            return answer
        }
        // What may be sent a second time needs somebody who watches when.
        if rows.endsInTime, pipeline.userHedge == nil {
            return await callout.ask(pipeline.store, isFull: full) { try await read(false) }
        }
        return await callout.call(
            pipeline.store, until: until, isFull: full, hedge: pipeline.userHedge, again: { try await read(true) }
        ) {
            try await read(false)
        }
    }

    // MARK: Sources

    /// A source with what it is asked.
    struct SourceJob: Sendable {
        let index: Int
        let source: Pipeline.Source
        let query: CandidateQuery
        let until: ContinuousClock.Instant
        let isFull: Bool
    }

    /// When the stage of recall would end if the user's row took all of its time.
    private func plannedCut(_ userEnds: ContinuousClock.Instant) -> ContinuousClock.Instant {
        var plan = budget
        guard case .until(let cut) = plan.begin(Stage.recall.rawValue, at: userEnds) else { return userEnds }
        return cut
    }

    private func sourceJobs(
        needingUser: Bool, _ user: UserFacts, until cut: ContinuousClock.Instant
    ) -> [SourceJob] {
        guard request.candidates == nil else { return [] }
        let now = clock.now()
        let excluding = exclusions.known
        return pipeline.sources.enumerated().compactMap { index, source in
            let config = source.config
            guard (config.seeds != nil || config.segment != nil) == needingUser else { return nil }
            let seeds = config.seeds.map(user.items)
            // Nobody's fault: who has done nothing yet has nothing to start from.
            if let seeds, seeds.isEmpty { return nil }
            let until = min(cut, now.advanced(by: config.timeout))
            let query = CandidateQuery(
                seeds: seeds, segments: config.segment.flatMap { user.value($0)?.segments } ?? [],
                limit: config.quota + min(excluding.count, Recommender.maximumItems), excluding: excluding)
            return SourceJob(
                index: index, source: source, query: query, until: until,
                isFull: until - now >= min(config.timeout, usual[Stage.recall.rawValue]) / 2)
        }
    }

    private typealias SourceOutcome = (index: Int, result: CallResult<[ScoredItem]>, taken: Duration)

    private static func ask(_ jobs: [SourceJob], _ callout: Callout) async -> [SourceOutcome] {
        var outcomes: [SourceOutcome] = []
        for job in jobs where job.source.source.isImmediate { outcomes.append(await ask(job, callout)) }
        let others = jobs.filter { !$0.source.source.isImmediate }
        guard others.count > 1 else {
            for job in others { outcomes.append(await ask(job, callout)) }
            return outcomes
        }
        await withTaskGroup(of: SourceOutcome.self) { group in
            for job in others { group.addTask { await ask(job, callout) } }
            for await outcome in group { outcomes.append(outcome) }
        }
        return outcomes
    }

    private static func ask(_ job: SourceJob, _ callout: Callout) async -> SourceOutcome {
        let began = callout.clock.now()
        let source = job.source.source
        let result: CallResult<[ScoredItem]>
        if source.isImmediate {
            result = await callout.ask(job.source.gate, isFull: job.isFull) {
                try await source.candidates(job.query, deadline: job.until)
            }
        } else {
            result = await callout.call(job.source.gate, until: job.until, isFull: job.isFull) {
                try await source.candidates(job.query, deadline: job.until)
            }
        }
        return (job.index, result, callout.clock.now() - began)
    }

    /// Asks the sources that need the user, and counts what all of them did; `nil` when none did its part.
    private mutating func recall(_ user: UserFacts, _ early: [SourceOutcome]) async -> [SourceResult]? {
        let began = clock.now()
        guard request.candidates == nil else { return [] }
        let cut = begin(.recall)
        var outcomes = early
        if let cut {
            if plan?.user == nil {
                outcomes += await Self.ask(sourceJobs(needingUser: false, user, until: cut), callout)
            }
            outcomes += await Self.ask(sourceJobs(needingUser: true, user, until: cut), callout)
        }
        var results: [SourceResult] = []
        for outcome in outcomes.sorted(by: { $0.index < $1.index }) {
            let name = config.sources[outcome.index].name
            switch outcome.result {
            case .value(let items):
                results.append(SourceResult(source: outcome.index, items: items))
                pipeline.meters.stageEnded("recall/\(name)", "ok", after: outcome.taken)
            case .left(let reason):
                leave(name, reason)
                pipeline.meters.stageEnded("recall/\(name)", reason, after: outcome.taken)
            }
        }
        if cut != nil { end("recall", results.isEmpty ? "none" : "ok", since: began, until: cut) }
        guard !results.isEmpty else {
            leave("recall", cut == nil ? "no_time" : "none")
            return nil
        }
        return results
    }

    // MARK: Candidates

    /// Why an item leaves, as far as its row isn't needed for that.
    private func leaving(_ id: EntityKeyValue) -> String? {
        exclusions.reason(id) ?? (plan?.isItem(id) == false ? "key" : nil)
    }

    private mutating func merge(_ results: [SourceResult]) -> [Candidate] {
        var left: [(EntityKeyValue, Candidate.Origin, String)] = []
        let explains = trace != nil
        let merged = CandidateMerge.merge(
            results, config.sources.map { ($0.quota, $0.weight) }, leaves: leaving
        ) { id, origin, reason in
            if explains { left.append((id, origin, reason)) }
        }
        for (id, origin, reason) in left { trace?.left(id, origin, reason) }
        trace?.came(merged)
        for candidate in merged.dropFirst(config.candidates) { trace?.left(candidate.id, "candidates") }
        return Array(merged.prefix(config.candidates))
    }

    /// The caller's own list, in the caller's order.
    private mutating func given(_ ids: [EntityKeyValue]) -> [Candidate] {
        var candidates: [Candidate] = []
        var known: Set<EntityKeyValue> = []
        for (index, id) in ids.enumerated() where known.insert(id).inserted {
            let candidate = Candidate(
                id: id, from: .init(source: -1, score: 0, place: index + 1),
                recall: 1 - Double(index) / Double(ids.count), best: -1)
            trace?.came([candidate])
            if let reason = leaving(id) {
                trace?.left(id, reason)
            } else {
                candidates.append(candidate)
            }
        }
        for candidate in candidates.dropFirst(config.candidates) { trace?.left(candidate.id, "candidates") }
        return Array(candidates.prefix(config.candidates))
    }
}
