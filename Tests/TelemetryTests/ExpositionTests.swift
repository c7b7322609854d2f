import Telemetry
import Testing

@Suite struct ExpositionTests {
    private let hostile = "a\\b\"c\nd{e}=é"

    private func filled() -> MetricRegistry {
        let registry = MetricRegistry()
        registry.counter(CounterMetric("t_rows_total", help: "Rows \\ \"in\"\nall.", labels: ["view"]), [hostile]).add(
            3)
        registry.gauge(GaugeMetric("t_lag_seconds", help: "Lag."), []).set(1.5)
        registry.histogram(HistogramMetric("t_run_seconds", help: "Runs.", buckets: [0.000_1, 1, 10])).observe(
            seconds: 0.5)
        registry.setInfo(InfoMetric("t_build_info", help: "Build.", labels: ["version"]), ["1.0"])
        return registry
    }

    @Test func prometheusTextIsSpelledByTheBook() {
        #expect(
            filled().render(.prometheus) == """
                # HELP t_build_info Build.
                # TYPE t_build_info gauge
                t_build_info{version="1.0"} 1
                # HELP t_lag_seconds Lag.
                # TYPE t_lag_seconds gauge
                t_lag_seconds 1.5
                # HELP t_rows_total Rows \\\\ "in"\\nall.
                # TYPE t_rows_total counter
                t_rows_total{view="a\\\\b\\"c\\nd{e}=é"} 3
                # HELP t_run_seconds Runs.
                # TYPE t_run_seconds histogram
                t_run_seconds_bucket{le="0.0001"} 0
                t_run_seconds_bucket{le="1.0"} 1
                t_run_seconds_bucket{le="10.0"} 1
                t_run_seconds_bucket{le="+Inf"} 1
                t_run_seconds_sum 0.5
                t_run_seconds_count 1

                """)
    }

    @Test func openMetricsIsSpelledByTheBook() {
        #expect(
            filled().render(.openMetrics) == """
                # HELP t_build Build.
                # TYPE t_build info
                t_build_info{version="1.0"} 1
                # HELP t_lag_seconds Lag.
                # TYPE t_lag_seconds gauge
                t_lag_seconds 1.5
                # HELP t_rows Rows \\\\ \\"in\\"\\nall.
                # TYPE t_rows counter
                t_rows_total{view="a\\\\b\\"c\\nd{e}=é"} 3
                # HELP t_run_seconds Runs.
                # TYPE t_run_seconds histogram
                t_run_seconds_bucket{le="0.0001"} 0
                t_run_seconds_bucket{le="1.0"} 1
                t_run_seconds_bucket{le="10.0"} 1
                t_run_seconds_bucket{le="+Inf"} 1
                t_run_seconds_sum 0.5
                t_run_seconds_count 1
                # EOF

                """)
    }

    @Test(arguments: [
        (Double.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (-0.0, "0"),
        (1_700_000_000.25, "1700000000.25"),
        (9_007_199_254_740_992, "9007199254740992"), (1e300, "1e+300"), (0.000_01, "1e-05"),
    ])
    func valuesAreSpelledAsScrapersReadThem(value: Double, spelling: String) {
        let registry = MetricRegistry()
        registry.gauge(GaugeMetric("t", help: "T.")).set(value)
        #expect(registry.render(.prometheus).contains("\nt \(spelling)\n"))
    }

    @Test func anEmptyRegistryIsStillAPage() {
        #expect(MetricRegistry().render(.prometheus) == "")
        #expect(MetricRegistry().render(.openMetrics) == "# EOF\n")
    }

    @Test func seriesStandInTheSameOrderOnEachPage() {
        let registry = MetricRegistry()
        for view in ["b", "a", "c"] { registry.gauge(.syncLagRows, [view]).set(1) }
        let lines = registry.render(.prometheus).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines == lines.sorted())
        #expect(registry.render(.prometheus) == registry.render(.prometheus))
    }

    @Test(
        arguments: [
            (nil, ExpositionFormat.prometheus),
            ("", .prometheus),
            ("*/*", .prometheus),
            ("text/plain", .prometheus),
            ("application/openmetrics-text", .openMetrics),
            (
                "application/openmetrics-text; version=1.0.0; q=0.5, text/plain;version=0.0.4;q=0.4, */*;q=0.1",
                .openMetrics
            ),
            ("Application/OpenMetrics-Text;Version=1.0.0;Q=0.75,text/plain;q=0.9", .prometheus),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", .prometheus),
            ("application/openmetrics-text;q=0", .prometheus),
            ("application/openmetrics-text;q=7", .prometheus),
            (";;,,;q=,application", .prometheus),
            (String(repeating: "application/openmetrics-text,", count: 200), .prometheus),
        ] as [(String?, ExpositionFormat)])
    func acceptHeaderDecidesTheFormat(accept: String?, format: ExpositionFormat) {
        #expect(ExpositionFormat.preferred(accept: accept) == format)
    }
}
