/// Traces: what stands under `telemetry.traces`. What it leaves open, OpenTelemetry's environment variables may say.
package struct TracesConfig: Hashable, Sendable {
    /// The share of new traces that is recorded unless something else says otherwise.
    package static let sampleRatio = 0.01

    /// The collector's base URL, without `/v1/traces`; `nil` for what the environment says.
    package let endpoint: String?
    /// `0...1`; `nil` for what the environment says.
    package let sampleRatio: Double?
    /// By lower-case name.
    package let headers: [String: Secret]
    /// How long one export may take; `nil` for what the environment says.
    package let timeout: Duration?

    init(_ node: YAMLNode?) {
        endpoint = node?["endpoint"]?.text
        sampleRatio = node?["sample_ratio"]?.number
        var headers: [String: Secret] = [:]
        for entry in node?["headers"]?.entries ?? [] {
            headers[entry.key.lowercased()] = entry.value.text.flatMap(Secret.init(spelling:))
        }
        self.headers = headers
        timeout = node?["timeout"]?.duration
    }
}

extension ConfigShape {
    static let traces = ObjectShape(
        name: "traces",
        summary:
            "Where the serving daemon sends traces (OTLP over HTTP). What isn't here, the OTEL_ variables of the environment may say.",
        fields: [
            Field(
                "endpoint", .text(collector), "The collector's URL, as in http://127.0.0.1:4318; off for no traces.",
                default: "OTEL_EXPORTER_OTLP_ENDPOINT, else off"),
            Field(
                "sample_ratio", .number(0...1),
                "The share of new traces that is recorded. A caller's own word in traceparent counts first.",
                default: "OTEL_TRACES_SAMPLER_ARG, else 0.01"),
            Field(
                "headers", .map(header, .text(secret), count: 0...16),
                "Headers of each export, by name: where their value is kept, env:NAME or file:PATH."),
            Field(
                "timeout", .duration(.milliseconds(100)...(.minutes(1))), "How long one export may take.",
                default: "OTEL_EXPORTER_OTLP_TIMEOUT, else 10s"),
        ])

    private static let collector = TextRule(
        expected: "a URL such as http://127.0.0.1:4318, or off", maximumLength: 2_048, pattern: "^(off|https?://.+)$",
        isValid: { $0 == "off" || isCollector($0) })

    private static let header = TextRule(
        expected: "the name of a header", maximumLength: 64, characters: ("A-Za-z0-9_-", "A-Za-z0-9_-"))

    private static func isCollector(_ text: String) -> Bool {
        let scheme = ["http://", "https://"].first { text.hasPrefix($0) }
        guard let scheme else { return false }
        let rest = text.dropFirst(scheme.count)
        // A password in it would stand in the open.
        return !rest.isEmpty && !rest.hasPrefix("/") && !rest.contains("@")
            && rest.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
