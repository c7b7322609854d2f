/// Decides how many requests may be under way at once, and finds the number by itself. Reads no clock, does no I/O; the
/// owner keeps it in a `Mutex`, or one on each event loop. Time is nanoseconds of a clock that never goes back.
///
/// It is a Vegas with guards. What requests take when little is under way is the baseline; what they take beyond it is
/// waiting they do to each other. Waiting beyond a target shrinks the limit in proportion, waiting below half of it grows
/// the limit if it is in the way. The guards, each against a defect known from other limiters:
///
/// - Nothing shrinks while less than half of the limit is used, so a quiet day doesn't end in a limit of no use, and a
///   dependency that is slow by itself doesn't cost room.
/// - Nothing grows then, but for a limit that an overload left below the initial one: that comes back while requests don't wait for
///   each other, so that the next rush finds what the last one found.
/// - Answers that came too late shrink it, though they all take equally long.
/// - The baseline rises only in windows without pressure, or at the minimum: a server that is always full can't pass for
///   an empty one, so the limit doesn't creep; one that has really become slower is learned again at the minimum.
/// - While it refuses, it halves the limit for a window every few seconds: a baseline that was learned under load, as by a
///   daemon started into an overload, comes down to what it should be.
/// - Only successes that began after the last decrease are measured: rejections are fast, and what a larger limit did
///   says nothing about the smaller one.
/// - Windows of few requests decide nothing.
package struct ConcurrencyLimiter: ~Copyable {
    /// The rules. Values without sense are moved to the nearest that has some.
    package struct Configuration: Sendable, Hashable {
        /// The least it shrinks to; twice the number of cores is good.
        package var minimum = 4
        /// The most it grows to. With `minimum` and `maximum` alike the limit is fixed.
        package var maximum = 1_024
        /// Where it starts.
        package var initial = 64
        /// How long requests may wait for each other, on average.
        package var waitTarget = Duration.milliseconds(3)
        /// How long they may wait as a share of the baseline, where that is more.
        package var tolerance = 0.5
        /// The share of requests answered too late, `0...1`, above which the limit shrinks.
        package var lateShare = 0.05

        package init() {}

        /// A limit that stays.
        package init(fixed limit: Int) {
            minimum = limit
            maximum = limit
            initial = limit
        }
    }

    /// What became of an admitted request.
    package enum Outcome: Sendable, CaseIterable {
        /// Answered in full and in time; how long it took counts.
        case success
        /// Too late, or refused for lack of room further on.
        case late
        /// Says nothing: the client's mistake, a client that left, an answer without the usual work.
        case ignored
    }

    /// The right to one request under way; hand it back with `finished`.
    package struct Permit: Sendable, Hashable {
        let slot: UInt32
        let generation: UInt32
    }

    private struct Slot {
        /// Odd while a permit is out, another one with each permit.
        var generation: UInt32 = 0
        var started: UInt64 = 0
        /// The next free slot, or `Int32.max`.
        var next: Int32 = .max
    }

    /// What was seen since the last decision.
    private struct Window {
        var began: UInt64
        var successes = 0
        var late = 0
        var refused = 0
        var nanoseconds: UInt64 = 0
        var mostInFlight = 0
    }

    /// The rules, moved to where they make sense.
    package private(set) var configuration: Configuration
    /// How many requests may be under way now.
    package private(set) var limit: Int
    /// How many are.
    package private(set) var inFlight = 0
    /// How often there was no room since the start.
    package private(set) var refusals = 0
    /// Permits handed back twice, or never given; each changed nothing.
    package private(set) var strays = 0
    /// What requests take without waiting for each other, in nanoseconds; `nil` before enough were seen.
    package private(set) var baseline: Double?
    private var slots: [Slot] = []
    private var firstFree = Int32.max
    private var window: Window
    private var decreasedAt: UInt64 = 0
    private var exact: Double
    private var atMinimum = 0
    /// While the limit is halved for a window: what it was, and what requests took under it.
    private var probe: (limit: Double, taken: Double)?
    private var nextProbe: UInt64 = 0

    private static let second: UInt64 = 1_000_000_000
    /// A window with enough requests ends after this long, …
    private static let shortWindow = second / 20
    /// … one with few after this long, …
    private static let longWindow = second / 4
    /// … and one with hardly any is thrown away after this long.
    private static let staleWindow = 2 * second
    private static let enough = 200
    private static let few = 10

    /// Starts at its initial limit, knowing nothing.
    package init(_ configuration: Configuration = .init(), at now: UInt64) {
        self.configuration = Self.sensible(configuration)
        limit = self.configuration.initial
        exact = Double(limit)
        window = Window(began: now)
    }

    /// Changes the rules. Permits that are out stay good. A limit out of the new bounds moves to the nearest; one that was
    /// fixed knows nothing and starts anew.
    package mutating func configure(_ configuration: Configuration) {
        let wasFixed = self.configuration.minimum == self.configuration.maximum
        self.configuration = Self.sensible(configuration)
        probe = nil
        set(wasFixed ? Double(self.configuration.initial) : exact)
    }

    /// A request wants to begin. `nil` when as many are under way as may be.
    package mutating func acquire(at now: UInt64) -> Permit? {
        guard inFlight < limit else {
            refusals += 1
            window.refused += 1
            return nil
        }
        inFlight += 1
        if inFlight > window.mostInFlight { window.mostInFlight = inFlight }
        if firstFree == .max { grow() }
        let index = Int(firstFree)
        firstFree = slots[index].next
        slots[index].generation &+= 1
        slots[index].started = now
        return Permit(slot: UInt32(index), generation: slots[index].generation)
    }

    /// An admitted request is over. A permit that is back already changes nothing.
    package mutating func finished(_ permit: Permit, _ outcome: Outcome, at now: UInt64) {
        let index = Int(permit.slot)
        guard index < slots.count, slots[index].generation == permit.generation, !permit.generation.isMultiple(of: 2)
        else {
            strays += 1
            return
        }
        let started = slots[index].started
        slots[index].generation &+= 1
        slots[index].next = firstFree
        firstFree = Int32(index)
        inFlight -= 1
        // What began under a larger limit says nothing about this one.
        if started >= decreasedAt {
            switch outcome {
            case .success:
                window.successes += 1
                window.nanoseconds &+= now > started ? now - started : 0
            case .late: window.late += 1
            case .ignored: break
            }
        }
        let seen = window.successes + window.late
        let age = now > window.began ? now - window.began : 0
        if (seen >= Self.enough && age >= Self.shortWindow) || age >= Self.longWindow { decide(seen, age, at: now) }
    }

    // MARK: Deciding

    private mutating func decide(_ seen: Int, _ age: UInt64, at now: UInt64) {
        guard seen >= Self.few else {
            if age >= Self.staleWindow { window = Window(began: now, mostInFlight: inFlight) }
            return
        }
        let isPressed = window.refused > 0 || window.mostInFlight * 2 >= limit
        if Double(window.late) > Double(seen) * configuration.lateShare {
            probe = nil
            if isPressed { decrease(to: exact * (window.late * 2 > seen ? 0.7 : 0.9), at: now) }
        } else if window.successes > 0 {
            follow(Double(window.nanoseconds) / Double(window.successes), isPressed, at: now)
        }
        window = Window(began: now, mostInFlight: inFlight)
    }

    /// Holds what requests took against what they take alone.
    private mutating func follow(_ taken: Double, _ isPressed: Bool, at now: UInt64) {
        let before = baseline ?? taken
        let baseline = learn(taken, isPressed)
        let target = max(Double(configuration.waitTarget.nanoseconds), baseline * configuration.tolerance)
        let wait = taken - baseline
        if let probe {
            // Back to what the old limit should have been, had the baseline been known.
            set(probe.limit * min(1, (baseline + target) / probe.taken))
            self.probe = nil
            nextProbe = now &+ (baseline < before * 0.9 ? Self.second / 2 : 5 * Self.second)
        } else if isPressed, wait > target {
            // As many as would wait just as long as they may; at most half is taken at once.
            decrease(to: max(exact * (baseline + target) / taken, exact / 2), at: now)
        } else if window.refused > 0, now >= nextProbe, limit > configuration.minimum {
            probe = (exact, taken)
            decrease(to: exact / 2, at: now)
        } else if window.refused > 0, wait < target / 4 {
            // Far from full and in the way, as after a dependency's bad hour.
            set(exact + max(1, exact / 2))
        } else if isPressed, wait < target / 2 {
            set(exact + max(1, exact / 8))
        } else if limit < configuration.initial, wait < target / 2 {
            set(min(exact + max(1, exact / 8), Double(configuration.initial)))
        }
    }

    /// Takes a window's mean into the baseline.
    private mutating func learn(_ taken: Double, _ isPressed: Bool) -> Double {
        let old = baseline ?? taken
        let isLeast = limit == configuration.minimum && limit < configuration.maximum
        atMinimum = isPressed && isLeast && probe == nil ? atMinimum + 1 : 0
        var new = min(old, taken)
        if taken > old, !isPressed {
            new = old + (taken - old) * 0.1
        } else if taken > old, atMinimum >= 5 {
            // Pressed at the minimum for long: this is what requests take now.
            new = old + (taken - old) * 0.3
        }
        baseline = new
        return new
    }

    private mutating func decrease(to new: Double, at now: UInt64) {
        let before = limit
        set(new)
        if limit < before { decreasedAt = now }
    }

    private mutating func set(_ new: Double) {
        exact = min(max(new, Double(configuration.minimum)), Double(configuration.maximum))
        limit = Int(exact)
    }

    private mutating func grow() {
        let count = slots.count
        let more = max(16, min(count, 4_096))
        for index in count..<(count + more) {
            slots.append(Slot(next: index + 1 < count + more ? Int32(index + 1) : .max))
        }
        firstFree = Int32(count)
    }

    private static func sensible(_ configuration: Configuration) -> Configuration {
        var rules = configuration
        rules.minimum = min(max(1, rules.minimum), 1_000_000)
        rules.maximum = min(max(rules.minimum, rules.maximum), 1_000_000)
        rules.initial = min(max(rules.minimum, rules.initial), rules.maximum)
        rules.waitTarget = min(max(.microseconds(1), rules.waitTarget), .seconds(60))
        rules.tolerance = rules.tolerance.isNaN ? 0.5 : min(max(0, rules.tolerance), 10)
        rules.lateShare = rules.lateShare.isNaN ? 0.05 : min(max(0, rules.lateShare), 1)
        return rules
    }
}

extension Duration {
    /// Whole nanoseconds, for lengths of up to 292 years.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
