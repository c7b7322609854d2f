/// Counts calls of the last while, and how many of them failed or were slow, in ten slots that pass with time.
struct CallWindow {
    /// What is counted.
    struct Counts {
        var calls = 0
        var failures = 0
        var slow = 0

        mutating func add(_ outcome: Breaker.Outcome) {
            calls += 1
            if outcome == .failure { failures += 1 }
            if outcome == .slow { slow += 1 }
        }

        mutating func subtract(_ other: Counts) {
            calls -= other.calls
            failures -= other.failures
            slow -= other.slow
        }
    }

    private static let slotCount = 10

    private let slotLength: Duration
    private var slots = [Counts](repeating: Counts(), count: slotCount)
    private var current = 0
    private var currentBegan: ContinuousClock.Instant
    /// Of all slots that are not too old by the last `record`.
    private(set) var total = Counts()

    init(length: Duration, at now: ContinuousClock.Instant) {
        slotLength = max(length / Self.slotCount, .microseconds(1))
        currentBegan = now
    }

    mutating func record(_ outcome: Breaker.Outcome, at now: ContinuousClock.Instant) {
        pass(to: now)
        slots[current].add(outcome)
        total.add(outcome)
    }

    mutating func clear(at now: ContinuousClock.Instant) {
        for index in slots.indices { slots[index] = Counts() }
        total = Counts()
        currentBegan = now
    }

    /// Drops the slots that are too old by now. An instant before the current slot counts as in it.
    private mutating func pass(to now: ContinuousClock.Instant) {
        if now - currentBegan >= slotLength * (2 * Self.slotCount) { return clear(at: now) }
        while now - currentBegan >= slotLength {
            currentBegan = currentBegan.advanced(by: slotLength)
            current = (current + 1) % slots.count
            total.subtract(slots[current])
            slots[current] = Counts()
        }
    }
}
