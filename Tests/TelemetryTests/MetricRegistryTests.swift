import Telemetry
import Testing

@Suite(.timeLimit(.minutes(1))) struct MetricRegistryTests {
    private let small = CounterMetric("t_total", help: "T.", labels: ["a"], seriesLimit: 2)

    @Test func sameLabelsBindTheSameSeries() {
        let registry = MetricRegistry()
        registry.counter(small, ["x"]).add(2)
        registry.counter(small, ["x"]).add(3)
        #expect(registry.counter(small, ["x"]).value == 5)
        #expect(registry.counter(small, ["y"]).value == 0)
    }

    @Test func seriesBeyondTheLimitAreRefusedAndCounted() {
        let registry = MetricRegistry()
        for label in ["x", "y", "z", "x"] { registry.counter(small, [label]).add() }
        registry.counter(small, ["w"]).add()
        let page = registry.render(.prometheus)
        #expect(page.contains("t_total{a=\"x\"} 2\n"))
        #expect(page.contains("t_total{a=\"y\"} 1\n"))
        #expect(!page.contains("a=\"z\"") && !page.contains("a=\"w\""))
        #expect(page.contains("tidemark_metric_series_refused_total{metric=\"t_total\"} 2\n"))
    }

    @Test(arguments: [(MetricRegistry.labelLimit, true), (MetricRegistry.labelLimit + 1, false)])
    func labelValuesHaveALimit(length: Int, isTaken: Bool) {
        let registry = MetricRegistry()
        let label = String(repeating: "x", count: length)
        registry.counter(small, [label]).add()
        #expect(registry.render(.prometheus).contains("t_total{") == isTaken)
    }

    @Test func anyNumberOfHostileLabelsLeavesThePageBounded() {
        let registry = MetricRegistry()
        for number in 0..<10_000 { registry.counter(.syncRuns, ["view\(number)", "failed"]).add() }
        let lines = registry.render(.prometheus).split(separator: "\n")
        #expect(lines.count == 2 + CounterMetric.syncRuns.family.seriesLimit + 3)
    }

    @Test func aNameTakenByAnotherKindIsNotOverwritten() {
        let registry = MetricRegistry()
        registry.counter(small, ["x"]).add(7)
        registry.gauge(GaugeMetric("t_total", help: "Another.", labels: ["a"]), ["x"]).set(9)
        #expect(registry.render(.prometheus).contains("t_total{a=\"x\"} 7\n"))
    }

    @Test func infoIsReplacedWhole() {
        let registry = MetricRegistry()
        registry.setInfo(.config, ["aaa"])
        registry.setInfo(.config, ["bbb"])
        let page = registry.render(.prometheus)
        #expect(page.contains("tidemark_config_info{hash=\"bbb\"} 1\n"))
        #expect(!page.contains("aaa"))
    }

    @Test func aForgottenViewLeavesThePageAndOthersStay() {
        let registry = MetricRegistry()
        let gone = ViewMetrics(view: "gone", registry: registry)
        let kept = ViewMetrics(view: "kept", registry: registry)
        gone.lagSeconds.set(5)
        kept.lagSeconds.set(6)
        registry.counter(.retries, ["gone"]).add()
        gone.forget()
        let page = registry.render(.prometheus)
        #expect(!page.contains("view=\"gone\""))
        #expect(page.contains("tidemark_sync_lag_seconds{view=\"kept\"} 6\n"))
        #expect(page.contains("tidemark_retries_total{stage=\"gone\"} 1\n"))
        gone.countRows(.created)
        #expect(!registry.render(.prometheus).contains("view=\"gone\""))
    }

    @Test func collectorsRunAtEachRenderingUpToTheirLimit() {
        let registry = MetricRegistry()
        let box = CollectorCount()
        for _ in 0..<MetricRegistry.collectorLimit { #expect(registry.addCollector { box.count.add(1) }) }
        #expect(!registry.addCollector { box.count.add(1_000) })
        _ = registry.render(.prometheus)
        _ = registry.render(.openMetrics)
        #expect(box.count.value == Double(2 * MetricRegistry.collectorLimit))
    }

    @Test func whatAlertsCountIsOnThePageBeforeItHappens() {
        let registry = MetricRegistry()
        _ = ViewMetrics(view: "v", registry: registry)
        let page = registry.render(.prometheus)
        for name in [MetricName.contractBreaches, MetricName.leaseLost, MetricName.historyBreaks] {
            #expect(page.contains("\(name){view=\"v\"} 0\n"))
        }
        for outcome in RowOutcome.allCases {
            #expect(page.contains("tidemark_sync_rows_total{view=\"v\",outcome=\"\(outcome.rawValue)\"} 0\n"))
        }
        #expect(!page.contains(MetricName.lastSuccessTimestampSeconds))
    }

    @Test func viewMetricsCountUnderTheirOutcome() {
        let registry = MetricRegistry()
        let metrics = ViewMetrics(view: "v", registry: registry)
        metrics.countRows(.replaced, 12)
        metrics.countSweepRows(.removed)
        metrics.runEnded(.breached, after: .milliseconds(3))
        metrics.violations(feature: "price", rule: "min").add(4)
        let page = registry.render(.prometheus)
        for line in [
            "tidemark_sync_rows_total{view=\"v\",outcome=\"replaced\"} 12",
            "tidemark_sweep_rows_total{view=\"v\",outcome=\"removed\"} 1",
            "tidemark_sync_runs_total{view=\"v\",outcome=\"breached\"} 1",
            "tidemark_sync_run_duration_seconds_bucket{view=\"v\",outcome=\"breached\",le=\"0.0025\"} 0",
            "tidemark_sync_run_duration_seconds_bucket{view=\"v\",outcome=\"breached\",le=\"0.005\"} 1",
            "tidemark_contract_violations_total{view=\"v\",feature=\"price\",rule=\"min\"} 4",
        ] {
            #expect(page.contains(line + "\n"))
        }
    }
}

private final class CollectorCount: Sendable {
    let count = MetricRegistry().gauge(.syncLagRows, ["collectors"])
}
