import FeatureModel
import Resilience
import Synchronization

/// Kinds of requests with a rate limit of their own.
enum RouteClass: String, Sendable {
    case read
    case change
}

/// Decides who gets in and how often. Shared by all requests of the listener.
///
/// A peer that came with too many wrong tokens gets 429 for whatever it brings, except tokens that were right from
/// there within the last hour: guessing is slow, and whoever guesses locks out nobody who is at work.
package final class AdminAccess: Sendable {
    /// What becomes of a request's credentials.
    enum Admission: Sendable, Equatable {
        case granted(Principal)
        /// No token, or a wrong one.
        case refused
        /// Too many wrong ones from this peer.
        case exhausted(policy: RatePolicy)
        /// No token is configured at all.
        case closed
    }

    private struct Visit: Hashable, Sendable {
        let peer: String
        let principal: String
    }

    private struct Charge: Hashable, Sendable {
        let principal: String
        let kind: RouteClass
    }

    private struct State: ~Copyable {
        var settings: AdminSettings
        var failures = RateLimiter<String>(capacity: 4_096)
        var charges = RateLimiter<Charge>(capacity: 256)
        var visits: [Visit: ContinuousClock.Instant] = [:]
    }

    /// How many visits are remembered.
    private static let visitLimit = 1_024
    /// How long a visit is remembered.
    private static let visitMemory = Duration.seconds(3_600)

    private let state: Mutex<State>

    /// Goes by these tokens and limits until `apply`.
    package init(_ settings: AdminSettings) {
        state = Mutex(State(settings: settings))
    }

    /// Goes by other settings from now on.
    package func apply(_ settings: AdminSettings) {
        state.withLock {
            $0.settings = settings
            // The same name may stand for another token now.
            $0.visits = [:]
        }
    }

    var settings: AdminSettings { state.withLock { $0.settings } }

    /// A request came with these `Authorization` fields.
    func admit(_ fields: [String], peer: String, at now: ContinuousClock.Instant) -> Admission {
        let tokens = settings.tokens
        if tokens.isEmpty { return .closed }
        guard !fields.isEmpty else { return .refused }
        // Hashed before the lock, and whether or not it can be right.
        let principal =
            fields.count == 1
            ? AdminToken.bearer(Array(fields[0].utf8), longest: AdminToken.maximumBytes)
                .flatMap { tokens.principal(AdminToken.digest(of: $0)) } : nil
        return state.withLock { state in
            guard let principal else { return Self.fail(peer, &state, at: now) }
            let visit = Visit(peer: peer, principal: principal.name)
            if case .refuse(let wait) = state.failures.peek(peer, state.settings.failures, at: now) {
                guard let last = state.visits[visit], now - last < Self.visitMemory else {
                    return .exhausted(
                        policy: RatePolicy(name: "failures", quota: state.settings.failures, remaining: 0, reset: wait))
                }
            }
            Self.remember(visit, &state, at: now)
            return .granted(principal)
        }
    }

    /// A principal's request wants to be counted.
    func charge(
        _ principal: Principal, _ kind: RouteClass, at now: ContinuousClock.Instant
    ) -> (isAllowed: Bool, policy: RatePolicy) {
        state.withLock { state in
            let quota = kind == .read ? state.settings.reads : state.settings.changes
            switch state.charges.take(Charge(principal: principal.name, kind: kind), quota, at: now) {
            case .pass(let remaining, let reset):
                return (true, RatePolicy(name: kind.rawValue, quota: quota, remaining: remaining, reset: reset))
            case .refuse(let wait):
                return (false, RatePolicy(name: kind.rawValue, quota: quota, remaining: 0, reset: wait))
            }
        }
    }

    private static func fail(_ peer: String, _ state: inout State, at now: ContinuousClock.Instant) -> Admission {
        let quota = state.settings.failures
        switch state.failures.take(peer, quota, at: now) {
        case .pass: return .refused
        case .refuse(let wait):
            return .exhausted(policy: RatePolicy(name: "failures", quota: quota, remaining: 0, reset: wait))
        }
    }

    private static func remember(_ visit: Visit, _ state: inout State, at now: ContinuousClock.Instant) {
        if state.visits[visit] == nil, state.visits.count >= visitLimit {
            state.visits = state.visits.filter { now - $0.value < visitMemory }
        }
        if state.visits[visit] != nil || state.visits.count < visitLimit { state.visits[visit] = now }
    }
}

/// What a `RateLimit` field says of one policy.
struct RatePolicy: Sendable, Equatable {
    let name: String
    let quota: Quota
    let remaining: Int
    let reset: Duration
}
