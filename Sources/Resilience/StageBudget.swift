/// Shares out the time of one request over the stages of its work. Reads no clock; of one request, in its hands.
///
/// A stage gets its share of what is left for it and the stages behind it, so what one leaves unused is handed down. Never
/// so much is given that a later stage that must run would have less than its least; a stage for which less than its own
/// least is left is skipped. The reserve at the end is given to nobody: in it the fallback answers.
package struct StageBudget: Sendable {
    /// A stage as it is planned.
    package struct Stage: Sendable, Hashable {
        /// Its part of the time, beside those of the others; > 0.
        package let weight: Double
        /// With less than this it isn't begun.
        package let least: Duration
        /// It never gets more; `nil` for no limit.
        package let most: Duration?

        package init(weight: Double, least: Duration = .zero, most: Duration? = nil) {
            self.weight = weight.isFinite && weight > 0 ? weight : 1
            self.least = max(.zero, least)
            self.most = most.map { max(.zero, $0) }
        }
    }

    /// What a stage gets.
    package enum Allotment: Sendable, Hashable {
        /// It may take until then.
        case until(ContinuousClock.Instant)
        /// There is too little time for it.
        case skipped
    }

    /// When the fallback must begin.
    package let soft: ContinuousClock.Instant
    private let stages: [Stage]
    /// Stages before this one are over.
    private var next = 0

    /// Plans stages in their order. A reserve beyond half of the time is cut to that.
    package init(
        _ stages: [Stage], from start: ContinuousClock.Instant, to deadline: ContinuousClock.Instant, reserve: Duration
    ) {
        self.stages = stages
        let whole = max(.zero, deadline - start)
        soft = deadline.advanced(by: .zero - min(max(.zero, reserve), whole / 2))
    }

    /// A stage begins; those before it that never began are skipped. A stage that is over already gets nothing.
    package mutating func begin(_ stage: Int, at now: ContinuousClock.Instant) -> Allotment {
        guard stage >= next, stage < stages.count else { return .skipped }
        next = stage + 1
        let left = soft - now
        let plan = stages[stage]
        guard left > .zero, left >= plan.least else { return .skipped }
        let weights = stages[stage...].reduce(0) { $0 + $1.weight }
        let owed = stages[(stage + 1)...].reduce(Duration.zero) { $0 + $1.least }
        var length = max(left * (plan.weight / weights), plan.least)
        // The least of what follows is kept, unless this stage's own least needs it.
        length = min(length, max(left - owed, plan.least))
        if let most = plan.most { length = min(length, most) }
        return .until(now.advanced(by: min(length, left)))
    }
}
