import FeatureModel
import GRPCCore
import NIOCore
import OnlineStore
import Resilience
import Serving
import Synchronization
import Telemetry

/// Answers lookups for both services: plan, rows, values. The same path that HTTP and the command line go.
final class GRPCLookup: Sendable {
    /// What a call is answered with.
    struct Answer: Sendable {
        let plan: GRPCPlan
        let values: LookupAnswer
        /// Of the ages in it, in microseconds since 1970.
        let now: Int64
    }

    private let serving: ServingContext
    private let lookup: FeatureLookup
    private let plans = GRPCPlans()
    /// When the store last answered a call in time, in nanoseconds of the monotonic clock.
    private let storeAnsweredAt = Atomic<UInt64>(0)

    init(_ serving: ServingContext, _ store: any OnlineStore) {
        self.serving = serving
        lookup = FeatureLookup(store)
    }

    /// The settings in force.
    var settings: ServerSettings { serving.liveSettings }

    /// The plan of a selection under the catalog in force.
    func plan(_ selection: GRPCPlans.Selection) throws -> GRPCPlan {
        guard let catalog = serving.catalog.current else {
            throw RPCError(code: .unavailable, message: "there is no catalog to serve yet")
        }
        return try plans.plan(selection, catalog, settings)
    }

    /// Looks up. `route` is what metrics call it.
    ///
    /// - Throws: DEADLINE_EXCEEDED and UNAVAILABLE when no view could be read; a view that can't be read beside others that
    ///   can is a status in the answer.
    func answer(
        _ plan: GRPCPlan, _ entities: EntityColumns, _ time: CallTime, route: String, keepsStale: Bool = false
    ) async throws -> Answer {
        let outcome: String
        defer { observe(route, outcome, time) }
        do {
            var planning = time.span?.child(SpanName.plan, at: time.messageAt)
            let keys = try keys(plan, entities)
            planning?.set(.views, plan.plan.views.count)
            planning?.set(.features, plan.names.count)
            planning?.set(.entities, entities.count)
            planning?.end()
            var rows = try await read(plan, keys, time)
            let now = WallClock.microseconds
            let encoding = time.span?.child(SpanName.encode)
            let values = LookupAnswer(plan.plan, keys, &rows, now: now, keepsStale: keepsStale)
            encoding?.end()
            count(values.counts, of: plan.plan.views)
            outcome = values.failures.isEmpty ? "ok" : "degraded"
            return Answer(plan: plan, values: values, now: now)
        } catch let error as RPCError {
            outcome = error.code == .invalidArgument || error.code == .resourceExhausted ? "invalid" : "refused"
            throw error
        } catch {
            outcome = "abandoned"
            throw error
        }
    }

    private func keys(_ plan: GRPCPlan, _ entities: EntityColumns) throws(RPCError) -> LookupKeys {
        let settings = settings
        guard entities.count <= settings.entities else {
            throw RPCError.tooLarge("\(entities.count) entities; at most \(settings.entities) may be asked for")
        }
        guard entities.count * plan.names.count <= settings.values else {
            throw RPCError.tooLarge(
                "\(entities.count) entities × \(plan.names.count) features are over the limit of "
                    + "\(settings.values) values")
        }
        do {
            return try LookupKeys(plan.plan, entities)
        } catch {
            throw RPCError(error)
        }
    }

    // MARK: The store

    private enum Event: Sendable {
        case part(Int, Result<[[UInt8]?], StoreError>)
        case late
    }

    private func read(_ plan: GRPCPlan, _ keys: LookupKeys, _ time: CallTime) async throws -> PackedRows {
        var rows = PackedRows(count: keys.rowCount)
        guard keys.rowCount > 0 else { return rows }
        let latest = time.deadline - settings.reserve
        guard ContinuousClock.now < latest else { throw RPCError.late }
        guard let permit = serving.gate.admit() else {
            throw RPCError(code: .unavailable, message: "the store fails, and is left alone for a while")
        }
        let askedAt = NIODeadline.now()
        let found = await events(plan, keys, time.span, until: latest)
        let isLate = found.count < plan.plan.views.count
        let failures = found.compactMap { event in
            if case .part(_, .failure(let error)) = event { error } else { nil }
        }
        for error in failures { serving.metrics.storeFailed(error.code) }
        if isLate { serving.metrics.storeFailed(.deadlineExceeded) }
        serving.gate.finished(permit, outcome(failures, isLate: isLate, time, since: askedAt))
        try Task.checkCancellation()
        if failures.count == found.count {
            throw isLate ? RPCError.late : Self.unavailable(failures)
        }
        for case .part(let part, let result) in found {
            switch result {
            case .success(let packed):
                for (entity, row) in packed.enumerated() { rows.set(part * keys.entityCount + entity, row) }
            case .failure(let error): rows.fail(part: part, reason: "\(error.message)")
            }
        }
        rows.failRest(plan.plan, keys, reason: "the store did not answer in time")
        return rows
    }

    /// What came of reading all views at once, until `latest`.
    private func events(
        _ plan: GRPCPlan, _ keys: LookupKeys, _ span: Span?, until latest: ContinuousClock.Instant
    ) async -> [Event] {
        let lookup = lookup
        let store = serving.storeSpan
        return await withTaskGroup(of: Event.self) { group in
            let parts = plan.plan.views.indices
            for part in parts {
                group.addTask {
                    var reading = span.map { store.begin(in: $0, commands: 1, rows: keys.entityCount) }
                    reading?.set(.view, plan.plan.views[part])
                    do throws(StoreError) {
                        let rows = try await lookup.read(part: part, of: plan.plan, keys)
                        reading?.end()
                        return .part(part, .success(rows))
                    } catch {
                        reading?.fail(error.code.rawValue)
                        reading?.end()
                        return .part(part, .failure(error))
                    }
                }
            }
            group.addTask {
                try? await Task.sleep(until: latest, tolerance: .zero, clock: .continuous)
                return .late
            }
            var events: [Event] = []
            while events.count < parts.count, let event = await group.next() {
                if case .late = event { break }
                events.append(event)
            }
            group.cancelAll()
            return events
        }
    }

    private func outcome(
        _ failures: [StoreError], isLate: Bool, _ time: CallTime, since askedAt: NIODeadline
    ) -> Breaker.Outcome {
        let now = NIODeadline.now()
        if failures.contains(where: { $0.isRetryable && $0.code != .deadlineExceeded }) { return .failure }
        guard isLate || failures.contains(where: { $0.code == .deadlineExceeded }) else {
            storeAnsweredAt.store(now.uptimeNanoseconds, ordering: .relaxed)
            return settings.slowCall.map { now - askedAt > TimeAmount($0) } == true ? .slow : .success
        }
        // One that answered others meanwhile isn't down: there is too much under way, which is for the limit to mend.
        let answersOthers = storeAnsweredAt.load(ordering: .relaxed) > askedAt.uptimeNanoseconds
        return time.isFull && !answersOthers ? .failure : .ignored
    }

    private static func unavailable(_ failures: [StoreError]) -> RPCError {
        if failures.allSatisfy({ $0.code == .deadlineExceeded }) { return .late }
        return RPCError(code: .unavailable, message: "the store can't be read: \(failures[0].message)")
    }

    // MARK: Metrics

    private func count(_ counts: LookupCounts, of views: [String]) {
        for (part, view) in views.enumerated() {
            for status in FeatureStatus.allCases {
                let count = counts.count(of: status, part: part)
                guard count > 0 else { continue }
                serving.metrics.registry.counter(.lookupValues, [view, status.rawValue]).add(count)
            }
        }
    }

    private func observe(_ route: String, _ outcome: String, _ time: CallTime) {
        let taken = (ContinuousClock.now - time.start).components
        let seconds = Double(taken.seconds) + Double(taken.attoseconds) / 1e18
        let histogram = serving.metrics.registry.histogram(.lookupDurationSeconds, [route, outcome])
        guard let span = time.span else { return histogram.observe(seconds: seconds) }
        histogram.observe(seconds: seconds, of: span.context)
    }
}
