import FeatureModel
import Testing

/// `telemetry` in the config: what it says of traces and slow requests, and each mistake by line and key.
@Suite struct TelemetryConfigTests {
    static let right = """
        project: shop
        online_store: {url: "redis://127.0.0.1:6379/0"}
        sources: {shop: {url: "sqlite:shop.db"}}
        telemetry:
          slow_request: 250ms
          traces:
            endpoint: http://127.0.0.1:4318
            sample_ratio: 0.25
            headers: {Authorization: "env:OTLP_AUTH", x-tenant: "file:tenant"}
            timeout: 2s
        """

    private func parse(_ text: String) throws(DefinitionErrors) -> Config {
        try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    @Test func everyKeyIsRead() throws {
        let telemetry = try parse(Self.right).telemetry
        #expect(telemetry.slowRequest == .milliseconds(250))
        #expect(telemetry.traces.endpoint == "http://127.0.0.1:4318" && telemetry.traces.sampleRatio == 0.25)
        #expect(telemetry.traces.timeout == .seconds(2))
        #expect(
            telemetry.traces.headers == ["authorization": .environment("OTLP_AUTH"), "x-tenant": .file("tenant")])
    }

    @Test func whatIsNotSaidIsLeftToTheEnvironment() throws {
        let head = String(Self.right.split(separator: "telemetry:")[0])
        let telemetry = try parse(head).telemetry
        #expect(telemetry == (try parse("\(head)telemetry: {traces: {}}")).telemetry)
        #expect(telemetry.slowRequest == .seconds(1))
        #expect(telemetry.traces.endpoint == nil && telemetry.traces.sampleRatio == nil)
        #expect(telemetry.traces.headers.isEmpty && telemetry.traces.timeout == nil)
        #expect(try parse("\(head)telemetry: {traces: {endpoint: off}}").telemetry.traces.endpoint == "off")
    }

    static let mistakes = [
        WrongFile(7, "    endpoint: 127.0.0.1:4318", "telemetry.traces.endpoint", "a URL such as"),
        WrongFile(7, "    endpoint: grpc://127.0.0.1:4317", "telemetry.traces.endpoint", "a URL such as"),
        WrongFile(7, "    endpoint: http://me:secret@host:4318", "telemetry.traces.endpoint", "a URL such as"),
        WrongFile(7, "    endpoint: \"http://ho st\"", "telemetry.traces.endpoint", "a URL such as"),
        WrongFile(8, "    sample_ratio: 1.5", "telemetry.traces.sample_ratio", "from 0 to 1"),
        WrongFile(8, "    sample_rate: 1", "telemetry.traces.sample_rate", "sample_ratio"),
        WrongFile(
            9, "    headers: {authorization: \"Bearer abc\"}", "telemetry.traces.headers.authorization", "env:NAME"),
        WrongFile(9, "    headers: {\"a b\": \"env:A\"}", "telemetry.traces.headers", "the name of a header"),
        WrongFile(10, "    timeout: 1h", "telemetry.traces.timeout", "from 100ms to 1m"),
        WrongFile(5, "  slow_request: 0s", "telemetry.slow_request", "from 1ms"),
    ]

    @Test(arguments: mistakes)
    func mistakeIsNamedWithItsPlace(_ wrong: WrongFile) {
        do {
            _ = try Config.parse(file: "tidemark.yaml", text: wrong.file(from: Self.right))
            Issue.record("accepted: \(wrong.text)")
        } catch {
            wrong.expect(in: error, file: "tidemark.yaml")
        }
    }
}
