package import FeatureModel
package import NIOCore
package import Resilience
import Synchronization
package import Telemetry

/// What stands before every request that costs something: as many as can be answered in good time are let in, the others
/// are refused at once. One for the daemon; any event loop may call it, each call takes a lock for some nanoseconds.
///
/// Health checks, metrics and admin don't pass here.
package final class AdmissionGate: Sendable {
    /// The answer to a request that wants in.
    package enum Admission: Sendable {
        /// Go on, and call `finished` with it exactly once.
        case admitted(ConcurrencyLimiter.Permit)
        /// 503; the client may ask again after this many seconds.
        case refused(retryAfter: Int)
    }

    /// What the gate is doing, for metrics.
    package struct Status: Sendable {
        package let limit: Int
        package let inFlight: Int
        package let refusals: Int
        /// What requests take without waiting for each other; `nil` before enough were seen.
        package let baseline: Duration?
        /// Permits handed back twice: a mistake of ours.
        package let strays: Int
    }

    private struct State: ~Copyable {
        var limiter: ConcurrencyLimiter
        var refusals = 0
        var jitter: UInt64
    }

    private let state: Mutex<State>
    private let latestLimit: Atomic<Int>
    private let threads: Int
    private let refusals: Counter?
    private let delays: Counter?

    /// The share of a request's time that it may spend waiting for others.
    package static let waitShare = 0.2

    /// - Parameters:
    ///   - inFlight: `serve.max_in_flight`.
    ///   - timeout: `serve.timeout`, of which requests may spend a share on waiting for each other.
    ///   - threads: How many event loops serve.
    ///   - now: When it starts.
    ///   - seed: Of the jitter in what it tells the refused.
    ///   - refusals: Counts those refused at once.
    ///   - delays: Counts those refused after they waited.
    package init(
        _ inFlight: ServeConfig.InFlight, timeout: Duration, threads: Int, at now: NIODeadline = .now(),
        seed: UInt64 = .random(in: 1 ... .max), refusals: Counter? = nil, delays: Counter? = nil
    ) {
        self.refusals = refusals
        self.delays = delays
        self.threads = max(1, threads)
        let limiter = ConcurrencyLimiter(
            Self.rules(inFlight, timeout, threads: self.threads), at: now.uptimeNanoseconds)
        latestLimit = Atomic(limiter.limit)
        state = Mutex(State(limiter: limiter, jitter: max(1, seed)))
    }

    /// A request wants in, and waits for nothing.
    package func acquire(at now: NIODeadline) -> Admission {
        if let permit = permit(at: now) { return .admitted(permit) }
        return .refused(retryAfter: refuse(waited: false))
    }

    /// The right to be under way, to be handed back as that of `acquire`; `nil` when there is no room now. Who may wait asks
    /// again, and who gives up says so with `refuse`.
    package func permit(at now: NIODeadline) -> ConcurrencyLimiter.Permit? {
        state.withLock { $0.limiter.acquire(at: now.uptimeNanoseconds) }
    }

    /// Counts a request that found no room; returns what to tell it: 1 to 5 seconds, so that not all come back at once.
    package func refuse(waited: Bool) -> Int {
        (waited ? delays : refusals)?.add()
        return state.withLock { state in
            state.refusals += 1
            return Self.retryAfter(&state.jitter)
        }
    }

    /// An admitted request is over; `now` is when its answer was ready to be written.
    package func finished(
        _ permit: ConcurrencyLimiter.Permit, _ outcome: ConcurrencyLimiter.Outcome, at now: NIODeadline
    ) {
        let limit = state.withLock { state in
            state.limiter.finished(permit, outcome, at: now.uptimeNanoseconds)
            return state.limiter.limit
        }
        if limit != latestLimit.load(ordering: .relaxed) { latestLimit.store(limit, ordering: .relaxed) }
    }

    /// An event loop's share of the limit, without the lock; it may be a moment old.
    var loopShare: Int { max(1, latestLimit.load(ordering: .relaxed) / threads) }

    /// Changes the limit while requests are under way; none is dropped for it.
    package func configure(_ inFlight: ServeConfig.InFlight, timeout: Duration) {
        let limit = state.withLock { state in
            state.limiter.configure(Self.rules(inFlight, timeout, threads: threads))
            return state.limiter.limit
        }
        latestLimit.store(limit, ordering: .relaxed)
    }

    /// What it is doing.
    package var status: Status {
        state.withLock { state in
            Status(
                limit: state.limiter.limit, inFlight: state.limiter.inFlight, refusals: state.refusals,
                baseline: state.limiter.baseline.map { .nanoseconds(Int64($0)) }, strays: state.limiter.strays)
        }
    }

    /// Requests share pipelines to the store and are cheaper together, so an event loop's share begins at 128 and may grow to
    /// 512.
    private static func rules(
        _ inFlight: ServeConfig.InFlight, _ timeout: Duration, threads: Int
    ) -> ConcurrencyLimiter.Configuration {
        switch inFlight {
        case .fixed(let limit): return .init(fixed: limit)
        case .adaptive:
            var rules = ConcurrencyLimiter.Configuration()
            rules.minimum = 2 * threads
            rules.initial = 128 * threads
            rules.maximum = 512 * threads
            rules.waitTarget = max(rules.waitTarget, timeout * waitShare)
            return rules
        }
    }

    /// Xorshift, which needs a state that is not 0.
    private static func retryAfter(_ jitter: inout UInt64) -> Int {
        jitter ^= jitter << 13
        jitter ^= jitter >> 7
        jitter ^= jitter << 17
        return Int(jitter % 5) + 1
    }
}
