import Synchronization

/// One series of a metric that goes up and down. Any thread may set it; setting neither locks nor allocates.
///
/// A gauge that was never set isn't on the page: an age of 0 or a timestamp of 1970 would be a lie.
package final class Gauge: Sendable {
    /// A NaN no arithmetic makes, for "not set".
    private static let unset: UInt64 = 0x7FF8_7469_6465_0000
    private let bits = Atomic<UInt64>(Gauge.unset)

    init() {}

    /// Sets the value.
    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// Sets 1 or 0.
    package func set(_ value: Bool) {
        set(value ? 1 : 0)
    }

    /// Adds `amount`, which may be negative; a gauge not set counts as 0.
    package func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let sum = (old == Gauge.unset ? 0 : Double(bitPattern: old)) + amount
            let (exchanged, original) = bits.weakCompareExchange(
                expected: old, desired: sum.bitPattern, ordering: .relaxed)
            if exchanged { return }
            old = original
        }
    }

    /// Takes the series off the page until it is set again.
    package func clear() {
        bits.store(Gauge.unset, ordering: .relaxed)
    }

    /// The value; `nil` when it is not set.
    package var value: Double? {
        let raw = bits.load(ordering: .relaxed)
        return raw == Gauge.unset ? nil : Double(bitPattern: raw)
    }
}
