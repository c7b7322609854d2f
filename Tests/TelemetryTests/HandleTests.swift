import Telemetry
import Testing

@Suite(.timeLimit(.minutes(1))) struct HandleTests {
    @Test func counterCountsFromManyTasksWithoutLosingAny() async {
        let counter = MetricRegistry().counter(.syncRows, ["v", "created"])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<10_000 { counter.add() } }
            }
        }
        #expect(counter.value == 80_000)
    }

    @Test func gaugeAddsFromManyTasksWithoutLosingAny() async {
        let gauge = MetricRegistry().gauge(.syncLagRows, ["v"])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<5_000 { gauge.add(1) } }
            }
        }
        #expect(gauge.value == 40_000)
    }

    @Test func gaugeIsUnsetUntilSetAndAfterClear() {
        let gauge = MetricRegistry().gauge(.leaseHeld, ["v"])
        #expect(gauge.value == nil)
        gauge.set(true)
        #expect(gauge.value == 1)
        gauge.set(false)
        #expect(gauge.value == 0)
        gauge.clear()
        #expect(gauge.value == nil)
        gauge.set(Double.nan)
        #expect(gauge.value?.isNaN == true)
    }

    @Test func bucketHoldsItsBoundAndNotTheNextNumber() {
        let metric = HistogramMetric("t_seconds", help: "T.", buckets: [0.1, 1, 10])
        let histogram = MetricRegistry().histogram(metric)
        for value in [0, 0.1, 0.1.nextUp, 1, 1.0.nextUp, 10, 10.0.nextUp, 1e9] { histogram.observe(seconds: value) }
        #expect(histogram.reading.counts == [2, 2, 2, 2])
    }

    @Test func observationsThatAreNoNumberLeaveTheSumWhole() {
        let histogram = MetricRegistry().histogram(HistogramMetric("t_seconds", help: "T.", buckets: [1]))
        histogram.observe(seconds: .nan)
        histogram.observe(seconds: .infinity)
        histogram.observe(.milliseconds(-5))
        histogram.observe(.milliseconds(250))
        #expect(histogram.reading.counts == [2, 0])
        #expect(histogram.reading.sum == 0.25)
    }

    @Test func runBucketsAscendFromAHundredMicroseconds() {
        let buckets = HistogramMetric.runBuckets
        #expect(buckets.first == 0.000_1)
        #expect(zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 })
    }
}
