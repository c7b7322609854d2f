import Synchronization

/// One series of a metric of durations. Any thread may observe; the lock is held for one increment.
package final class Histogram: Sendable {
    /// The last observation of a bucket whose trace is recorded.
    package struct Exemplar: Sendable {
        package let trace: TraceContext
        /// In seconds.
        package let value: Double
        /// When it was observed: milliseconds since 1970.
        package let milliseconds: Int64
    }

    /// What was observed, all of one instant.
    package struct Reading: Sendable {
        /// Observations a bucket, not cumulative; the last is above every bound.
        package var counts: [UInt64]
        /// Sum of all observations in seconds.
        package var sum: Double
        /// One a bucket at most; empty until the first observation of a recorded trace.
        package var exemplars: [Exemplar?] = []
    }

    /// Upper bounds of the buckets in seconds, ascending, without +Inf.
    package let bounds: [Double]
    private let state: Mutex<Reading>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Reading(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
    }

    /// Observes a duration; a negative one, as of a clock that stepped, counts as 0.
    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(seconds: max(0, Double(seconds) + Double(attoseconds) / 1e18))
    }

    /// Observes a value in seconds; one that is no finite number is left out.
    package func observe(seconds: Double) {
        guard seconds.isFinite else { return }
        let bucket = index(of: seconds)
        state.withLock {
            $0.counts[bucket] += 1
            $0.sum += seconds
        }
    }

    /// Observes a value in seconds of a trace that is recorded, which becomes the exemplar of its bucket.
    package func observe(seconds: Double, of trace: TraceContext) {
        guard seconds.isFinite else { return }
        let bucket = index(of: seconds)
        let exemplar = Exemplar(trace: trace, value: seconds, milliseconds: LogLine.now())
        state.withLock {
            $0.counts[bucket] += 1
            $0.sum += seconds
            if $0.exemplars.isEmpty { $0.exemplars = Array(repeating: nil, count: $0.counts.count) }
            $0.exemplars[bucket] = exemplar
        }
    }

    /// All buckets and the sum, of one instant.
    package var reading: Reading { state.withLock { $0 } }

    /// The first bucket whose bound is not below `value`.
    private func index(of value: Double) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
