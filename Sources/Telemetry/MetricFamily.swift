/// What is known of a metric before it has a value: its name, its meaning, its labels and how many series it may have.
package struct MetricFamily: Hashable, Sendable {
    /// How Prometheus treats the value.
    package enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
        case info
    }

    package let name: String
    package let kind: Kind
    /// One sentence for the `HELP` line.
    package let help: String
    package let labels: [String]
    /// How many label sets the registry keeps; one more is refused and counted.
    package let seriesLimit: Int
    /// Upper bounds in seconds, ascending, without +Inf. Empty unless a histogram.
    package let buckets: [Double]

    init(
        _ name: String, _ kind: Kind, help: String, labels: [String], seriesLimit: Int = 1_000, buckets: [Double] = []
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.seriesLimit = seriesLimit
        self.buckets = buckets
    }
}

/// A metric that only grows: `MetricRegistry.counter` binds it to labels.
package struct CounterMetric: Sendable {
    package let family: MetricFamily

    package init(_ name: String, help: String, labels: [String] = [], seriesLimit: Int = 1_000) {
        family = MetricFamily(name, .counter, help: help, labels: labels, seriesLimit: seriesLimit)
    }
}

/// A metric that goes up and down: `MetricRegistry.gauge` binds it to labels.
package struct GaugeMetric: Sendable {
    package let family: MetricFamily

    package init(_ name: String, help: String, labels: [String] = [], seriesLimit: Int = 1_000) {
        family = MetricFamily(name, .gauge, help: help, labels: labels, seriesLimit: seriesLimit)
    }
}

/// A metric of how long things took: `MetricRegistry.histogram` binds it to labels.
package struct HistogramMetric: Sendable {
    package let family: MetricFamily

    /// `buckets` are upper bounds in seconds, ascending and finite; +Inf is added.
    package init(
        _ name: String, help: String, labels: [String] = [], buckets: [Double], seriesLimit: Int = 1_000
    ) {
        family = MetricFamily(
            name, .histogram, help: help, labels: labels, seriesLimit: seriesLimit, buckets: buckets)
    }
}

/// A metric whose labels are the message and whose value is 1: `MetricRegistry.setInfo` replaces it.
package struct InfoMetric: Sendable {
    package let family: MetricFamily

    package init(_ name: String, help: String, labels: [String]) {
        family = MetricFamily(name, .info, help: help, labels: labels, seriesLimit: 1)
    }
}
