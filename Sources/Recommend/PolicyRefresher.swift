import FeatureModel
import Logging
import OnlineStore
import Recall
import ServiceLifecycle

/// Looks at the items of the fallback lists again and again, so that policy holds when nobody can be asked.
///
/// Runs until graceful shutdown. A look that fails leaves what is known, which grows old.
package struct PolicyRefresher: Service {
    /// How many items of a fallback list are looked at.
    private static let items = RecommendRun.spare + 1_000
    /// How many rows are read at once.
    private static let chunk = 500

    private let recommender: Recommender

    package init(_ recommender: Recommender) {
        self.recommender = recommender
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await self.refreshUntilCancelled()
        }
    }

    private func refreshUntilCancelled() async {
        let clock = recommender.environment.clock
        // By the memory: a reload that begins another one has nothing looked at yet.
        var due: [ObjectIdentifier: (memory: PolicyMemory, at: ContinuousClock.Instant)] = [:]
        while !Task.isCancelled {
            let pipelines = recommender.all
            due = due.filter { id, _ in pipelines.contains { ObjectIdentifier($0.policy) == id } }
            for pipeline in pipelines where due[ObjectIdentifier(pipeline.policy)].map({ $0.at <= clock.now() }) ?? true
            {
                let isDone = await Self.refresh(pipeline, recommender.environment)
                // Until there is something to look at, it is looked for more often.
                let pause = isDone ? pipeline.config.policy.refresh : min(pipeline.config.policy.refresh, .seconds(1))
                due[ObjectIdentifier(pipeline.policy)] = (pipeline.policy, clock.now().advanced(by: pause))
            }
            let wait = clock.now().advanced(by: .seconds(1))
            guard (try? await clock.sleep(min(due.values.map(\.at).min() ?? wait, wait))) != nil else { return }
        }
    }

    /// Looks at all pipelines' items once. `true` when all could be looked at.
    @discardableResult
    package func refresh() async -> Bool {
        var isDone = true
        for pipeline in recommender.all {
            let isOne = await Self.refresh(pipeline, recommender.environment)
            isDone = isDone && isOne
        }
        return isDone
    }

    private static func refresh(_ pipeline: Pipeline, _ environment: Recommender.Environment) async -> Bool {
        guard pipeline.hasFeaturePolicy else { return true }
        guard let list = environment.list(pipeline.config.fallback),
            let plan = try? pipeline.plan(environment.catalogs),
            let side = plan.policy
        else { return false }
        let ids = list.top(segments: [], limit: items).map(\.id).filter(plan.isItem)
        for start in stride(from: 0, to: ids.count, by: chunk) {
            let some = Array(ids[start..<min(start + chunk, ids.count)])
            guard await look(some, side, plan.itemKey, pipeline, environment) else { return false }
        }
        return true
    }

    private static func look(
        _ ids: [EntityKeyValue], _ side: PipelinePlan.Side, _ key: Entity.Key, _ pipeline: Pipeline,
        _ environment: Recommender.Environment
    ) async -> Bool {
        let until = environment.clock.now().advanced(by: max(.seconds(1), pipeline.config.timeout))
        let (source, now) = (environment.rows, environment.clock.wall())
        // Not through the gate: this is how the daemon learns that the store is back, and its failures are no request's.
        let outcome = await environment.runner.call(until: until) {
            try await RecommendRun.read(side, key, ids, from: source, now: now, until: until)
        }
        guard case .value(let rows) = outcome else { return false }
        let filters = FilterVerdict(pipeline.config.filters, rows)
        let verdicts = ids.enumerated().compactMap { row, id in filters.policy(row).map { (id: id, passes: $0) } }
        pipeline.policy.learn(verdicts, at: environment.clock.now())
        return !rows.hasFailures
    }
}
