package import OnlineStore

/// Holds a view's lease while work goes on: acquires, renews, and stops the work before the lease can have expired.
package struct LeaseKeeper: Sendable {
    private let context: SyncContext

    package init(context: SyncContext) {
        self.context = context
    }

    /// Runs `body` as the only writer of `view`, with a session of its own.
    ///
    /// - Throws: `SyncError.leaseHeld` when another owner has the lease; `StoreError.fenced` when it is lost meanwhile; what
    ///   `body` throws.
    package func withLease<Result: Sendable>(
        _ view: String, _ body: (any StoreSession) async throws -> Result
    ) async throws -> Result {
        let settings = context.settings
        let acquiredAt = context.time.now()
        guard
            let lease = try await context.store.acquireLease(
                view, owner: settings.owner, duration: settings.leaseDuration)
        else {
            let holder = try await context.store.leaseHolder(view)
            throw SyncError.leaseHeld(view: view, owner: holder?.owner ?? "another service")
        }
        CrashPoint.leaseTaken.reached()
        context.observer.observe(.lease(view: view, held: true))
        do {
            let result = try await withRenewal(lease, acquiredAt, body)
            await release(lease)
            return result
        } catch {
            await release(lease)
            throw error
        }
    }

    private func release(_ lease: Lease) async {
        context.observer.observe(.lease(view: lease.name, held: false))
        // If it can't be given back it expires.
        try? await context.store.releaseLease(lease)
    }

    private func withRenewal<Result: Sendable>(
        _ lease: Lease, _ acquiredAt: ContinuousClock.Instant, _ body: (any StoreSession) async throws -> Result
    ) async throws -> Result {
        let session = try await context.store.openSession(lease)
        let context = context
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await Self.renew(lease, acquiredAt, session, context) }
            do {
                let result = try await body(session)
                group.cancelAll()
                await session.close()
                return result
            } catch {
                group.cancelAll()
                await session.close()
                // A body that failed because its session was closed under it failed for the lease's reason.
                if let cause = await Self.failure(of: &group), (error as? StoreError)?.code == .sessionLost {
                    throw cause
                }
                throw error
            }
        }
    }

    private static func failure(of group: inout ThrowingTaskGroup<Void, any Error>) async -> StoreError? {
        do {
            try await group.next()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    /// Renews at a third of the duration; gives up, and closes the session, before the lease can have expired.
    private static func renew(
        _ lease: Lease, _ acquiredAt: ContinuousClock.Instant, _ session: any StoreSession, _ context: SyncContext
    ) async throws {
        let duration = context.settings.leaseDuration
        var safeUntil = acquiredAt + duration * 0.8
        while true {
            try await context.time.sleep(duration / 3)
            let asked = context.time.now()
            do {
                if try await context.store.renewLease(lease, duration: duration) {
                    safeUntil = asked + duration * 0.8
                    continue
                }
            } catch {
                if context.time.now() < safeUntil, error.isRetryable { continue }
            }
            context.observer.observe(.leaseLost(view: lease.name))
            await session.close()
            throw StoreError(.fenced, "the lease was lost", detail: lease.name)
        }
    }
}
