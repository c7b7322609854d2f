/// Decides when the next connection may be tried. Reads no clock; chance is an argument.
///
/// After a failure it waits twice as long each time up to a ceiling, minus up to half of it by chance. After a refused
/// login it waits long at once. Whatever succeeds, no more than `perSecond` tries are made in a second on average.
struct ReconnectMachine {
    struct Limits: Hashable, Sendable {
        var firstPause = Duration.milliseconds(50)
        var longestPause = Duration.seconds(5)
        var loginPause = Duration.seconds(10)
        var perSecond = 10
    }

    private let limits: Limits
    private var failures = 0
    private var pausedUntil: ContinuousClock.Instant?
    /// Until when tries of the past use up the rate: each adds `1 / perSecond`.
    private var paidUntil: ContinuousClock.Instant?
    private(set) var lastFailure: RedisError?

    init(limits: Limits) {
        self.limits = limits
    }

    /// Whether a connection may be tried now; counts it as tried if so. Otherwise when.
    mutating func admit(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        if let pausedUntil, now < pausedUntil { return pausedUntil }
        let cost = Duration.seconds(1) / limits.perSecond
        let paid = max(paidUntil ?? now, now)
        // A second's worth may be used at once.
        guard now.duration(to: paid) + cost <= .seconds(1) else { return paid + cost - .seconds(1) }
        paidUntil = paid + cost
        return nil
    }

    mutating func connected() {
        failures = 0
        pausedUntil = nil
        lastFailure = nil
    }

    /// Notes a failed try; `chance` is from 0 to 1.
    mutating func failed(_ error: RedisError, at now: ContinuousClock.Instant, chance: Double) {
        failures = min(failures + 1, 30)
        lastFailure = error
        var pause = min(limits.firstPause * (1 << (failures - 1)), limits.longestPause)
        if case .errorReply(let kind) = error.code, kind.isMisconfiguration { pause = limits.loginPause }
        pausedUntil = now + pause * (1 - chance / 2)
    }
}
