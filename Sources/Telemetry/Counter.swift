import Synchronization

/// One series of a metric that only grows. Any thread may count; counting neither locks nor allocates.
package final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    init() {}

    /// Counts `amount` more. A negative amount is a mistake of the caller and counts nothing.
    package func add(_ amount: Int = 1) {
        assert(amount >= 0, "a counter only grows")
        guard amount > 0 else { return }
        count.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    /// What was counted so far.
    package var value: UInt64 { count.load(ordering: .relaxed) }
}
