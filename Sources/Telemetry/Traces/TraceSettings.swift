/// Where spans go, and how.
package struct TraceSettings: Sendable {
    /// The whole URL that batches are posted to, `/v1/traces` and all.
    package var endpoint: String
    /// Headers of each export, such as an authorization.
    package var headers: [(name: String, value: String)] = []
    /// Who the spans are of: OpenTelemetry's resource attributes, `service.name` among them.
    package var resource: [(key: String, value: String)] = []
    /// What the spans' scope has as its version.
    package var version = ""
    /// How long one export may take.
    package var timeout = Duration.seconds(10)
    /// How long spans wait for others to go with.
    package var interval = Duration.seconds(1)
    /// Spans of one export.
    package var batch = 512
    /// How often a batch is tried before it is given up.
    package var attempts = 5
    /// The wait before the second try; doubled for each one more.
    package var firstRetry = Duration.seconds(1)
    /// The longest wait before another try, whatever the collector asks for.
    package var longestRetry = Duration.seconds(30)
    /// How long the last export may take when the process ends.
    package var flush = Duration.seconds(3)

    package init(endpoint: String) {
        self.endpoint = endpoint
    }
}
