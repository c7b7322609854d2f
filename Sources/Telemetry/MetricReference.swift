/// The page of all metrics, generated so that it can't lag behind the code. `ops/check` compares the committed one.
package enum MetricReference {
    /// Markdown, one row a metric.
    package static func markdown() -> String {
        var text = """
            # Metrics

            Generated from `Sources/Telemetry`; `TIDEMARK_WRITE_GENERATED=1 swift test --filter MetricReference` writes it anew.

            | metric | type | labels | what it is |
            |---|---|---|---|

            """
        for family in MetricFamily.all {
            let labels = family.labels.map { "`\($0)`" }.joined(separator: " ")
            text += "| `\(family.name)` | \(family.kind.rawValue) | \(labels) | \(family.help) |\n"
        }
        return text
    }
}
