import FeatureModel
import OnlineStore

extension RecommendRun {
    /// Reads the rows of candidates and filters by them. Policy that the store does not tell is taken from memory.
    mutating func filtered(_ candidates: [Candidate], _ user: UserFacts, _ plan: PipelinePlan) async -> Prepared? {
        guard let side = plan.item else {
            return Prepared(candidates: candidates, user: user, rows: nil, isWhole: true)
        }
        let rows = await readRows(side, plan.itemKey, candidates.map(\.id))
        let kept = keep(candidates, rows)
        guard !kept.isEmpty else {
            leave("filters", "none")
            return nil
        }
        return Prepared(candidates: kept, user: user, rows: rows, isWhole: rows.map { !$0.hasFailures } ?? false)
    }

    private mutating func readRows(
        _ side: PipelinePlan.Side, _ key: Entity.Key, _ ids: [EntityKeyValue]
    ) async -> ItemRows? {
        let began = clock.now()
        guard let until = begin(.rows) else {
            leave("features", "no_time")
            return nil
        }
        let (source, now) = (environment.rows, clock.wall())
        let full = isFull(.rows, until: until)
        let read = { @Sendable (isSecond: Bool) async throws -> ItemRows in
            try await Self.read(side, key, ids, from: source, now: now, until: until, isSecond: isSecond)
        }
        let result =
            source.endsInTime && pipeline.rowHedge == nil
            ? await callout.ask(pipeline.store, isFull: full) { try await read(false) }
            : await callout.call(
                pipeline.store, until: until, isFull: full, hedge: pipeline.rowHedge, again: { try await read(true) }
            ) { try await read(false) }
        switch result {
        case .value(let rows):
            end("rows", rows.hasFailures ? "partial" : "ok", since: began, until: until)
            if rows.hasFailures { leave("features", "partial") }
            return rows
        case .left(let reason):
            end("rows", reason, since: began, until: until)
            leave("features", reason)
            return nil
        }
    }

    /// All rows of items, in one read.
    static func read(
        _ side: PipelinePlan.Side, _ key: Entity.Key, _ ids: [EntityKeyValue], from source: any RowSource, now: Int64,
        until: ContinuousClock.Instant, isSecond: Bool = false
    ) async throws -> ItemRows {
        let keys = try LookupKeys(side.plan, try columns(key, ids))
        var packed =
            isSecond
            ? try await source.readAgain(side.plan, keys, deadline: until)
            : try await source.read(side.plan, keys, deadline: until)
        return ItemRows(side, LookupAnswer(side.plan, keys, &packed, now: now))
    }

    private static func columns(_ key: Entity.Key, _ ids: [EntityKeyValue]) throws(LookupError) -> EntityColumns {
        var columns = EntityColumns()
        let numbers = ids.compactMap { if case .integer(let number) = $0 { number } else { nil } }
        guard numbers.count == ids.count else { return try EntityColumns(ids.map { [key.name: $0] }) }
        columns.add(key.name, integers: numbers)
        return columns
    }

    private mutating func keep(_ candidates: [Candidate], _ rows: ItemRows?) -> [Candidate] {
        let now = clock.now()
        var verdicts: [(id: EntityKeyValue, passes: Bool)] = []
        var kept: [Candidate] = []
        let hasPolicy = pipeline.hasFeaturePolicy
        let filters = rows.map { FilterVerdict(config.filters, $0) }
        for (row, var candidate) in candidates.enumerated() {
            candidate.row = row
            if let rows { trace?.features(candidate.id, rows.all(at: row)) }
            let told = hasPolicy ? filters.flatMap { $0.policy(row) } : true
            if hasPolicy, let told { verdicts.append((candidate.id, told)) }
            if !(told ?? pipeline.policy.passes(candidate.id, at: now) ?? false) {
                let name = policyName(row, filters)
                trace?.left(candidate.id, name)
            } else if let filter = filters?.refusing(row) {
                trace?.left(candidate.id, filter)
            } else {
                kept.append(candidate)
            }
        }
        pipeline.policy.learn(verdicts, at: now)
        return kept
    }

    /// The policy by which an item leaves.
    private func policyName(_ row: Int, _ filters: FilterVerdict?) -> String {
        if let filters { return filters.failedPolicy(row) ?? "policy" }
        let unread = config.filters.first { filter in
            if case .feature = filter.rule { filter.isPolicy } else { false }
        }
        return unread?.name ?? "policy"
    }
}
