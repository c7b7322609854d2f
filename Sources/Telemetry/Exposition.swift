/// A metrics page in the making: families in, text out.
///
/// The two formats differ in the family name of counters and infos, in what a help text escapes, and in the end mark.
/// Bucket bounds are spelled alike in both (`1.0`), so that a scraper that changes its mind keeps its series.
struct Exposition {
    let format: ExpositionFormat
    private var text = ""

    init(format: ExpositionFormat) {
        self.format = format
    }

    mutating func append(_ entry: MetricRegistry.Family) {
        let family = entry.family
        var samples = ""
        for (labels, series) in entry.series.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let pairs = zip(family.labels, labels).map { "\($0)=\"\(Self.escaped($1, quotes: true))\"" }
            append(series, of: family, pairs, to: &samples)
        }
        guard !samples.isEmpty else { return }
        let name = familyName(family)
        text += "# HELP \(name) \(Self.escaped(family.help, quotes: format == .openMetrics))\n"
        text += "# TYPE \(name) \(typeName(family.kind))\n"
        text += samples
    }

    consuming func finish() -> String {
        if format == .openMetrics { text += "# EOF\n" }
        return text
    }

    private func familyName(_ family: MetricFamily) -> String {
        switch (format, family.kind) {
        case (.openMetrics, .counter): Self.drop("_total", from: family.name)
        case (.openMetrics, .info): Self.drop("_info", from: family.name)
        default: family.name
        }
    }

    private func typeName(_ kind: MetricFamily.Kind) -> String {
        kind == .info && format == .prometheus ? "gauge" : kind.rawValue
    }

    private func append(
        _ series: MetricRegistry.Series, of family: MetricFamily, _ pairs: [String], to samples: inout String
    ) {
        switch series {
        case .counter(let counter):
            samples += "\(family.name)\(Self.braced(pairs)) \(counter.value)\n"
        case .gauge(let gauge):
            guard let value = gauge.value else { return }
            samples += "\(family.name)\(Self.braced(pairs)) \(Self.spelled(value))\n"
        case .info:
            samples += "\(family.name)\(Self.braced(pairs)) 1\n"
        case .histogram(let histogram):
            append(histogram, of: family, pairs, to: &samples)
        }
    }

    private func append(
        _ histogram: Histogram, of family: MetricFamily, _ pairs: [String], to samples: inout String
    ) {
        let reading = histogram.reading
        var cumulative: UInt64 = 0
        for (bucket, bound) in (histogram.bounds.map(\.description) + ["+Inf"]).enumerated() {
            cumulative += reading.counts[bucket]
            samples += "\(family.name)_bucket\(Self.braced(pairs + ["le=\"\(bound)\""])) \(cumulative)"
            // The older format has no word for it.
            if format == .openMetrics, bucket < reading.exemplars.count, let exemplar = reading.exemplars[bucket] {
                samples += Self.spelled(exemplar)
            }
            samples += "\n"
        }
        samples += "\(family.name)_sum\(Self.braced(pairs)) \(Self.spelled(reading.sum))\n"
        samples += "\(family.name)_count\(Self.braced(pairs)) \(cumulative)\n"
    }

    /// 63 characters of labels, of the 128 that an exemplar may have.
    private static func spelled(_ exemplar: Histogram.Exemplar) -> String {
        let (seconds, milliseconds) = exemplar.milliseconds.quotientAndRemainder(dividingBy: 1_000)
        let fraction = String(milliseconds + 1_000).dropFirst()
        return " # {trace_id=\"\(exemplar.trace.traceID)\",span_id=\"\(exemplar.trace.spanID)\"} "
            + "\(spelled(exemplar.value)) \(seconds).\(fraction)"
    }

    private static func braced(_ pairs: [String]) -> String {
        pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
    }

    private static func spelled(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? value.description
    }

    private static func drop(_ suffix: String, from name: String) -> String {
        name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
    }

    static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
