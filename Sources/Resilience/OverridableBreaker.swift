/// A breaker that an operator can force open or closed. Reads no clock; the owner keeps it in a `Mutex`.
///
/// While it is forced the breaker beneath learns nothing. `nil` as override gives the word back to it, closed and with
/// nothing counted.
package struct OverridableBreaker: ~Copyable {
    /// What it is forced to.
    package enum Override: String, Sendable, CaseIterable {
        /// Every call is refused.
        case open
        /// Every call passes.
        case closed
    }

    private var breaker: Breaker
    /// What it is forced to; `nil` while the breaker decides.
    package private(set) var override: Override?

    /// No generation of a breaker: results of calls that passed by force count for nothing.
    private static let forced = Breaker.Permit(generation: .max, number: 0)
    /// When a call that is refused by force makes sense again, if nobody can say.
    private static let wait = Duration.seconds(1)

    package init(_ configuration: Breaker.Configuration = .init(), seed: UInt64, at now: ContinuousClock.Instant) {
        breaker = Breaker(configuration, seed: seed, at: now)
    }

    /// What the breaker beneath does with calls; `override` comes first.
    package var state: Breaker.State { breaker.state }
    /// How often it opened by itself.
    package var trips: Int { breaker.trips }
    /// Results that came too late to count.
    package var lateResults: Int { breaker.lateResults }

    /// Changes the rules; what was counted stays.
    package mutating func configure(_ configuration: Breaker.Configuration, at now: ContinuousClock.Instant) {
        breaker.configure(configuration, at: now)
    }

    /// A call wants out.
    package mutating func admit(at now: ContinuousClock.Instant) -> Breaker.Admission {
        switch override {
        case .open: .refuse(Self.wait)
        case .closed: .pass(Self.forced)
        case nil: breaker.admit(at: now)
        }
    }

    /// An admitted call is over.
    package mutating func finished(
        _ permit: Breaker.Permit, _ outcome: Breaker.Outcome, at now: ContinuousClock.Instant
    ) {
        guard override == nil, permit.generation != Self.forced.generation else { return }
        breaker.finished(permit, outcome, at: now)
    }

    /// Forces it, or with `nil` lets it begin anew.
    package mutating func force(_ override: Override?, at now: ContinuousClock.Instant) {
        self.override = override
        if override == nil { breaker.reset(at: now) }
    }
}
