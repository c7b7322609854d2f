import Synchronization

/// All series of a process. Binding a series takes a lock, so bind once and keep the handle; counting on it does not.
///
/// Nothing here grows without bound: each metric has a limit of series, and a label set beyond it, or with a value longer
/// than `labelLimit`, gets a handle that works but isn't rendered, and is counted in
/// `tidemark_metric_series_refused_total`.
package final class MetricRegistry: Sendable {
    /// Longest label value in bytes of UTF-8.
    package static let labelLimit = 256
    /// How many collectors a registry takes.
    package static let collectorLimit = 64

    enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case info
    }

    struct Family: Sendable {
        let family: MetricFamily
        var series: [[String]: Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var collectors: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// The series of a counter with these label values, in the order its metric declares them. It is rendered from now
    /// on, as 0 first: without that a rate would miss the first count.
    package func counter(_ metric: CounterMetric, _ labels: [String] = []) -> Counter {
        let bound = bind(metric.family, labels) { .counter(Counter()) }
        guard case .counter(let counter)? = bound else { return Counter() }
        return counter
    }

    /// The series of a gauge with these label values; rendered once it is set.
    package func gauge(_ metric: GaugeMetric, _ labels: [String] = []) -> Gauge {
        fractional(metric.family, labels)
    }

    /// The series of a histogram with these label values.
    package func histogram(_ metric: HistogramMetric, _ labels: [String] = []) -> Histogram {
        let bound = bind(metric.family, labels) { .histogram(Histogram(bounds: metric.family.buckets)) }
        guard case .histogram(let histogram)? = bound else { return Histogram(bounds: metric.family.buckets) }
        return histogram
    }

    /// Makes this the only label set of an info metric.
    package func setInfo(_ metric: InfoMetric, _ labels: [String]) {
        guard isAcceptable(labels, of: metric.family) else { return refuse(metric.family) }
        state.withLock { $0.families[metric.family.name] = Family(family: metric.family, series: [labels: .info]) }
    }

    /// A handle of a fraction for any kind; counters of a fraction are read from elsewhere and set here.
    func fractional(_ family: MetricFamily, _ labels: [String] = []) -> Gauge {
        guard case .gauge(let gauge)? = bind(family, labels, make: { .gauge(Gauge()) }) else { return Gauge() }
        return gauge
    }

    /// Forgets every series whose label `label` is `value`: a view that is no longer defined has no lag. Handles bound
    /// before go on working but are not rendered.
    package func forget(_ label: String, _ value: String) {
        state.withLock { state in
            for (name, var family) in state.families {
                guard let position = family.family.labels.firstIndex(of: label) else { continue }
                family.series = family.series.filter { $0.key[position] != value }
                state.families[name] = family
            }
        }
    }

    /// Runs `collect` before each rendering, to set what is cheaper to read when asked. It must not block.
    ///
    /// - Returns: `false`, with nothing added, when there are `collectorLimit` already.
    @discardableResult
    package func addCollector(_ collect: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            guard state.collectors.count < Self.collectorLimit else { return false }
            state.collectors.append(collect)
            return true
        }
    }

    /// The metrics page, by name, series by label values, so that two pages compare line by line.
    package func render(_ format: ExpositionFormat) -> String {
        let collectors = state.withLock { $0.collectors }
        for collect in collectors { collect() }
        let families = state.withLock { Array($0.families.values) }
        var exposition = Exposition(format: format)
        for family in families.sorted(by: { $0.family.name < $1.family.name }) { exposition.append(family) }
        return exposition.finish()
    }

    private func isAcceptable(_ labels: [String], of family: MetricFamily) -> Bool {
        assert(labels.count == family.labels.count, "\(family.name) has the labels \(family.labels)")
        return labels.count == family.labels.count && labels.allSatisfy { $0.utf8.count <= Self.labelLimit }
    }

    private func bind(_ family: MetricFamily, _ labels: [String], make: () -> Series) -> Series? {
        guard isAcceptable(labels, of: family) else {
            refuse(family)
            return nil
        }
        let fresh = make()
        let bound: Series? = state.withLock { state in
            if let known = state.families[family.name]?.series[labels] { return known }
            guard state.families[family.name]?.series.count ?? 0 < family.seriesLimit else { return nil }
            state.families[family.name, default: Family(family: family)].series[labels] = fresh
            return fresh
        }
        if bound == nil { refuse(family) }
        return bound
    }

    private func refuse(_ family: MetricFamily) {
        // The metric that counts refusals is labelled by metric, of which there are few: this cannot go round in circles.
        guard family.name != MetricName.seriesRefused else { return }
        counter(.seriesRefused, [family.name]).add()
    }
}
