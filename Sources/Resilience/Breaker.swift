/// Decides whether a call to one dependency may go out. Reads no clock, does no I/O; the owner keeps it in a `Mutex`.
///
/// - `closed`: calls pass. Too many failures in a row, or too large a share of failures or of slow calls in the window,
///   open it.
/// - `open`: calls are refused until an instant; then the next call finds it half-open.
/// - `halfOpen`: probes pass, each under a lease: one at a time, after enough answers two, then four, up to `probes`, so that
///   what has just come back is not run over; the last step closes it. A failure, a step of slow answers, or a probe that
///   isn't back when its lease ends opens it again for longer. So it never stays half-open: either probes report or leases end.
///
/// Every transition begins a generation. A result that was admitted in an older one changes nothing but `lateResults`.
package struct Breaker: ~Copyable {
    /// The rules. Values without sense are moved to the nearest that has some.
    package struct Configuration: Sendable, Hashable {
        /// This many failures in a row open the breaker; this catches a dead dependency under little traffic.
        package var consecutiveFailures = 5
        /// How long calls count for the shares of failures and slow calls.
        package var window = Duration.seconds(10)
        /// Below this many calls in the window their shares decide nothing.
        package var minimumCalls = 20
        /// The share of failures that opens the breaker, `0...1`.
        package var failureRatio = 0.5
        /// The share of slow calls that opens the breaker, `0...1`; of a step's probes, the one that opens it again.
        package var slowRatio = 0.8
        /// The first time it stays open, halved at most by jitter; doubles from time to time up to `openMaximum`.
        package var openInitial = Duration.milliseconds(500)
        /// The longest it stays open at a time.
        package var openMaximum = Duration.seconds(30)
        /// How many probes may be out at once in the last step; it doubles from one probe on.
        package var probes = 4
        /// How many probes must be answered for the next step, and in the last one to close it.
        package var answersPerStep = 3
        /// How long a probe may take before it counts as failed. Longer than a call may take in its usual time.
        package var probeLease = Duration.seconds(5)
        /// Closed for this long, the next opening is a first one again.
        package var calm = Duration.seconds(60)

        package init() {}
    }

    /// What became of an admitted call.
    package enum Outcome: Sendable, CaseIterable {
        case success
        /// Answered, in more time than the owner thinks right.
        case slow
        /// The dependency's fault: refused, broken off, an answer of its own that says so, or no answer in good time.
        case failure
        /// Says nothing about the dependency: cancelled, given too little time, the caller's fault.
        case ignored
    }

    /// The right to one call; hand it back with `finished`.
    package struct Permit: Sendable, Hashable {
        let generation: UInt64
        let number: UInt64
    }

    /// The answer to a call that wants out.
    package enum Admission: Sendable, Hashable {
        case pass(Permit)
        /// Don't call; asking again makes sense after this long.
        case refuse(Duration)
    }

    /// What the breaker does with calls.
    package enum State: String, Sendable, CaseIterable {
        case closed
        case open
        case halfOpen = "half_open"
    }

    private enum Phase {
        case closed(since: ContinuousClock.Instant)
        case open(until: ContinuousClock.Instant)
        case halfOpen(Probing)
    }

    /// One climb back, step by step.
    private struct Probing {
        /// When each probe that is out counts as failed, by its number.
        var leases: [UInt64: ContinuousClock.Instant] = [:]
        /// How many may be out at once in this step.
        var allowed = 1
        /// Probes of this step that were answered, and how many of those slowly.
        var answers = 0
        var slow = 0
    }

    /// The rules, moved to where they make sense.
    package private(set) var configuration: Configuration
    /// How often it opened.
    package private(set) var trips = 0
    /// Results that came too late to count.
    package private(set) var lateResults = 0
    private var phase: Phase
    private var generation: UInt64 = 0
    private var lastNumber: UInt64 = 0
    private var consecutive = 0
    private var openings = 0
    private var window: CallWindow
    private var jitter: UInt64

    /// Starts closed. With another `seed` in each process, probes of many processes don't come together.
    package init(_ configuration: Configuration = .init(), seed: UInt64, at now: ContinuousClock.Instant) {
        self.configuration = Self.sensible(configuration)
        phase = .closed(since: now)
        window = CallWindow(length: self.configuration.window, at: now)
        jitter = seed
    }

    /// Changes the rules. What was counted stays, as do the state and the permits that are out; an end of being open that was
    /// set already holds. Only another length of the window begins it anew.
    package mutating func configure(_ configuration: Configuration, at now: ContinuousClock.Instant) {
        let old = self.configuration.window
        self.configuration = Self.sensible(configuration)
        if self.configuration.window != old { window = CallWindow(length: self.configuration.window, at: now) }
    }

    /// Begins anew, closed and with nothing counted but `trips` and `lateResults`: no permit that is out counts any more.
    package mutating func reset(at now: ContinuousClock.Instant) {
        openings = 0
        close(at: now)
    }

    private static func sensible(_ configuration: Configuration) -> Configuration {
        var rules = configuration
        rules.consecutiveFailures = max(1, rules.consecutiveFailures)
        rules.minimumCalls = max(1, rules.minimumCalls)
        rules.openInitial = max(.milliseconds(1), rules.openInitial)
        rules.openMaximum = min(max(rules.openInitial, rules.openMaximum), .seconds(86_400))
        rules.probes = max(1, rules.probes)
        rules.answersPerStep = max(1, rules.answersPerStep)
        rules.probeLease = min(max(.milliseconds(1), rules.probeLease), .seconds(86_400))
        return rules
    }

    /// What it does with calls now.
    package var state: State {
        switch phase {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }

    /// A call wants out.
    package mutating func admit(at now: ContinuousClock.Instant) -> Admission {
        endOverdueLeases(at: now)
        switch phase {
        case .closed:
            return .pass(Permit(generation: generation, number: 0))
        case .open(let until) where now < until:
            return .refuse(until - now)
        case .open:
            begin(.halfOpen(Probing()))
            return admitProbe(Probing(), at: now)
        case .halfOpen(let probing):
            return admitProbe(probing, at: now)
        }
    }

    /// An admitted call is over.
    package mutating func finished(_ permit: Permit, _ outcome: Outcome, at now: ContinuousClock.Instant) {
        endOverdueLeases(at: now)
        guard permit.generation == generation else {
            lateResults += 1
            return
        }
        switch phase {
        case .closed(let since): closedCallFinished(outcome, since, at: now)
        case .halfOpen(var probing):
            // A permit that was handed back before holds no lease any more.
            guard probing.leases.removeValue(forKey: permit.number) != nil else { return }
            probeFinished(outcome, probing, at: now)
        case .open:
            // Nothing is admitted in the generations that are open, so this permit is not of ours.
            lateResults += 1
        }
    }

    private mutating func closedCallFinished(
        _ outcome: Outcome, _ since: ContinuousClock.Instant, at now: ContinuousClock.Instant
    ) {
        guard outcome != .ignored else { return }
        window.record(outcome, at: now)
        consecutive = outcome == .failure ? consecutive + 1 : 0
        let isTooMuch =
            switch outcome {
            case .failure:
                consecutive >= configuration.consecutiveFailures
                    || isShare(window.total.failures, configuration.failureRatio)
            case .slow: isShare(window.total.slow, configuration.slowRatio)
            case .success, .ignored: false
            }
        guard isTooMuch else { return }
        if now - since >= configuration.calm { openings = 0 }
        trip(at: now)
    }

    /// Whether so many of the window's calls are at least that share of them, and enough to tell.
    private func isShare(_ count: Int, _ ratio: Double) -> Bool {
        window.total.calls >= configuration.minimumCalls && Double(count) >= Double(window.total.calls) * ratio
    }

    /// `probing` is without the lease of the probe.
    private mutating func probeFinished(_ outcome: Outcome, _ probing: Probing, at now: ContinuousClock.Instant) {
        var probing = probing
        switch outcome {
        case .failure: return trip(at: now)
        case .ignored: return phase = .halfOpen(probing)
        case .success, .slow: probing.answers += 1
        }
        if outcome == .slow { probing.slow += 1 }
        guard probing.answers >= configuration.answersPerStep else { return phase = .halfOpen(probing) }
        if probing.slow > 0, Double(probing.slow) >= Double(probing.answers) * configuration.slowRatio {
            return trip(at: now)
        }
        guard probing.allowed < configuration.probes else { return close(at: now) }
        probing.allowed = min(probing.allowed * 2, configuration.probes)
        (probing.answers, probing.slow) = (0, 0)
        phase = .halfOpen(probing)
    }

    private mutating func admitProbe(_ probing: Probing, at now: ContinuousClock.Instant) -> Admission {
        guard probing.leases.count < min(probing.allowed, configuration.probes) else {
            let next = probing.leases.values.min() ?? now
            return .refuse(max(next - now, .milliseconds(1)))
        }
        lastNumber += 1
        var probing = probing
        probing.leases[lastNumber] = now.advanced(by: configuration.probeLease)
        phase = .halfOpen(probing)
        return .pass(Permit(generation: generation, number: lastNumber))
    }

    /// A probe that isn't back in time has failed.
    private mutating func endOverdueLeases(at now: ContinuousClock.Instant) {
        guard case .halfOpen(let probing) = phase, probing.leases.values.contains(where: { $0 <= now }) else { return }
        trip(at: now)
    }

    private mutating func close(at now: ContinuousClock.Instant) {
        consecutive = 0
        window.clear(at: now)
        begin(.closed(since: now))
    }

    private mutating func trip(at now: ContinuousClock.Instant) {
        trips += 1
        let doublings = min(openings, 40)
        openings += 1
        var length = configuration.openInitial
        for _ in 0..<doublings where length < configuration.openMaximum { length = length * 2 }
        length = min(length, configuration.openMaximum)
        begin(.open(until: now.advanced(by: length / 2 + length / 2 * nextFraction())))
    }

    private mutating func begin(_ next: Phase) {
        generation += 1
        phase = next
    }

    /// SplitMix64, in `0..<1`.
    private mutating func nextFraction() -> Double {
        jitter &+= 0x9e37_79b9_7f4a_7c15
        var mixed = jitter
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return Double((mixed ^ mixed >> 31) >> 11) * 0x1p-53
    }
}
