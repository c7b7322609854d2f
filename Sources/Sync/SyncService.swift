import FeatureModel
import OnlineStore
import ServiceLifecycle

/// The service behind `tidemark sync`: every view in its interval, until graceful shutdown or cancellation.
///
/// Views share a bounded number of turns. Shutdown cancels what runs; a chunk in flight is marked or abandoned, and either is safe.
package struct SyncService: Service {
    private let engine: SyncEngine
    /// Views to sync; empty for all that are applied.
    private let only: Set<String>
    /// Applies the definitions to a store that has none: it was empty from the start, or came back empty.
    private let restore: @Sendable () async throws -> Void
    private var context: SyncContext { engine.context }

    package init(
        engine: SyncEngine, only: Set<String> = [], restore: @escaping @Sendable () async throws -> Void
    ) {
        self.engine = engine
        self.only = only
        self.restore = restore
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                try await self.follow()
            } catch is CancellationError {
                return
            }
        }
    }

    /// Runs the applied views, and starts anew whenever another catalog is published.
    private func follow() async throws {
        var known = ""
        while true {
            try Task.checkCancellation()
            guard let published = await published(), published.record.hash != known else {
                try await context.time.sleep(context.settings.catalogPoll)
                continue
            }
            known = published.record.hash
            try await run(published.record)
        }
    }

    /// The catalog, put back if the store has lost it; `nil` while the store is away.
    private func published() async -> (record: CatalogRecord, revision: Int64)? {
        do {
            if let published = try await context.catalog.catalog() { return published }
            try await restore()
            return try await context.catalog.catalog()
        } catch {
            return nil
        }
    }

    private func run(_ record: CatalogRecord) async throws {
        let views = record.views.filter { only.isEmpty || only.contains($0) }
        let turns = Turns(limit: context.settings.parallelViews)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for view in views {
                group.addTask {
                    try await self.repeatView(view, turns)
                    return false
                }
            }
            group.addTask {
                try await self.waitForOtherCatalog(than: record.hash)
                return true
            }
            while let replaced = try await group.next() {
                if replaced { group.cancelAll() }
            }
        }
    }

    private func waitForOtherCatalog(than hash: String) async throws {
        while true {
            try await context.time.sleep(context.settings.catalogPoll)
            // A store that is away for a moment has the same catalog until it says otherwise.
            if let now = await published(), now.record.hash != hash { return }
        }
    }

    private func repeatView(_ view: String, _ turns: Turns) async throws {
        let requests = RunRequests(context.store)
        var failures = 0
        var every = Duration.seconds(5)
        do {
            while true {
                // While the store can't tell, or lost what it knew, the interval is the one it told last.
                every = await interval(of: view) ?? every
                let due = context.time.now() + every
                let asked = try? await requests.stamp(of: view)
                do {
                    try await turns.withTurn { _ = try await self.engine.sync(view, sweepUntil: due) }
                    failures = 0
                    if let asked { try await requests.finish(view, asked) }
                } catch let error as CancellationError {
                    throw error
                } catch {
                    // The engine has reported it; here it only slows the next turn.
                    failures += 1
                    // A store that came back empty is given its catalog at once, not when it is next looked at.
                    if case .notApplied? = error as? SyncError { _ = await published() }
                }
                let pause = max(due - context.time.now(), .zero) + penalty(failures, every)
                try await wait(context.time.now() + pause, unlessAsked: view, after: asked, requests)
            }
        } catch is CancellationError {
            return
        }
    }

    /// Waits until then, or until a run of the view is asked for that wasn't before.
    private func wait(
        _ due: ContinuousClock.Instant, unlessAsked view: String, after known: [UInt8]?, _ requests: RunRequests
    ) async throws {
        while case let left = due - context.time.now(), left > .zero {
            try await context.time.sleep(min(left, context.settings.catalogPoll))
            if let stamp = try? await requests.stamp(of: view), stamp != known { return }
        }
    }

    /// A view that keeps failing is tried less often: up to eight intervals apart, at most ten minutes.
    private func penalty(_ failures: Int, _ every: Duration) -> Duration {
        guard failures > 0 else { return .zero }
        let wait = min(every * Double(1 << min(failures, 3)), .seconds(600))
        return wait * context.time.random()
    }

    private func interval(of view: String) async -> Duration? {
        guard let versions = try? await context.catalog.versions(of: view), let newest = versions.synced.first,
            let definition = try? engine.definition(of: newest)
        else { return nil }
        return definition.every
    }
}

/// A bounded number of turns at a time, given in order of asking.
actor Turns {
    private var free: Int
    private var waiting: [(id: Int, turn: CheckedContinuation<Void, any Error>)] = []
    private var nextID = 0

    init(limit: Int) {
        free = max(1, limit)
    }

    /// Runs `body` in a turn; waiting for one can be cancelled.
    nonisolated func withTurn(_ body: () async throws -> Void) async throws {
        try await take()
        do {
            try await body()
            await giveBack()
        } catch {
            await giveBack()
            throw error
        }
    }

    private func take() async throws {
        try Task.checkCancellation()
        if free > 0 {
            free -= 1
            return
        }
        nextID += 1
        let id = nextID
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiting.append((id, $0)) }
        } onCancel: {
            Task { await self.abandon(id) }
        }
    }

    private func abandon(_ id: Int) {
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return }
        waiting.remove(at: index).turn.resume(throwing: CancellationError())
    }

    private func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().turn.resume() }
    }
}
