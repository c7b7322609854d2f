import FeatureModel
import Foundation
import Logging
import Telemetry

/// The traces of a daemon, as its config and OpenTelemetry's environment variables say. What the config says counts first.
struct TraceService {
    let tracer: Tracer
    /// `nil` where nothing is recorded.
    let exporter: TraceExporter?
    /// How long the last export may take.
    let flush: Duration
    private let environment: TraceEnvironment
    private let ratio: Gauge

    /// Throws `UsageError` for a header whose value can't be read.
    init(
        _ config: Config, configPath: String, registry: MetricRegistry, logger: Logger,
        variables: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        environment = TraceEnvironment(variables)
        ratio = registry.gauge(.traceSampleRatio)
        let traces = config.telemetry.traces
        // What the file says, it says on purpose: only the environment's own switch turns that off.
        let endpoint = (traces.endpoint ?? environment.endpoint).flatMap { $0 == "off" ? nil : $0 }
        guard let endpoint, !environment.isDisabled else {
            (tracer, exporter, flush) = (.none, nil, .zero)
            return
        }
        for problem in environment.problems {
            logger.warning("a variable of OpenTelemetry is left out", metadata: ["why": "\(problem)"])
        }
        let url = traces.endpoint == nil ? endpoint : TraceEnvironment.tracesURL(endpoint)
        var settings = TraceSettings(endpoint: url)
        var headers = Dictionary(environment.headers.map { ($0.name, $0.value) }) { $1 }
        for (name, secret) in traces.headers {
            headers[name] = try ConfigFiles.resolve(secret, from: configPath, what: "telemetry.traces.headers.\(name)")
        }
        settings.headers = headers.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        settings.resource = Self.resource(environment)
        settings.version = Tidemark.version
        settings.timeout = traces.timeout ?? environment.timeout ?? settings.timeout
        flush = settings.flush
        tracer = Tracer(
            ratio: Self.ratio(config, environment), followsParent: environment.followsParent, registry: registry)
        exporter = TraceExporter(tracer, settings, registry: registry, logger: logger)
        apply(config)
    }

    /// Goes by another config's share of traces; where they go to counts from the next start.
    func apply(_ config: Config) {
        guard tracer.isOn else { return }
        let share = Self.ratio(config, environment)
        tracer.setRatio(share)
        ratio.set(share)
    }

    private static func ratio(_ config: Config, _ environment: TraceEnvironment) -> Double {
        config.telemetry.traces.sampleRatio ?? environment.ratio ?? TracesConfig.sampleRatio
    }

    private static func resource(_ environment: TraceEnvironment) -> [(key: String, value: String)] {
        let process = ProcessInfo.processInfo
        var resource: [(key: String, value: String)] = [
            ("service.name", environment.serviceName ?? "tidemark"), ("service.version", Tidemark.version),
            ("host.name", process.hostName), ("process.pid", "\(process.processIdentifier)"),
            ("telemetry.sdk.name", "tidemark"), ("telemetry.sdk.language", "swift"),
            ("telemetry.sdk.version", Tidemark.version),
        ]
        for (key, value) in environment.resource {
            resource.removeAll { $0.key == key }
            resource.append((key, value))
        }
        return resource
    }
}
