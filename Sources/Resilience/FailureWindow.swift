/// Counts calls and failures of the last while, in ten slots that pass with time.
struct FailureWindow {
    private static let slotCount = 10

    private let slotLength: Duration
    private var slots = [(calls: Int, failures: Int)](repeating: (0, 0), count: slotCount)
    private var current = 0
    private var currentBegan: ContinuousClock.Instant
    private(set) var calls = 0
    private(set) var failures = 0

    init(length: Duration, at now: ContinuousClock.Instant) {
        slotLength = max(length / Self.slotCount, .microseconds(1))
        currentBegan = now
    }

    mutating func record(isFailure: Bool, at now: ContinuousClock.Instant) {
        pass(to: now)
        slots[current].calls += 1
        calls += 1
        if isFailure {
            slots[current].failures += 1
            failures += 1
        }
    }

    mutating func clear(at now: ContinuousClock.Instant) {
        for index in slots.indices { slots[index] = (0, 0) }
        calls = 0
        failures = 0
        currentBegan = now
    }

    /// Drops the slots that are too old by now. An instant before the current slot counts as in it.
    private mutating func pass(to now: ContinuousClock.Instant) {
        if now - currentBegan >= slotLength * (2 * Self.slotCount) { return clear(at: now) }
        while now - currentBegan >= slotLength {
            currentBegan = currentBegan.advanced(by: slotLength)
            current = (current + 1) % slots.count
            calls -= slots[current].calls
            failures -= slots[current].failures
            slots[current] = (0, 0)
        }
    }
}
