import FeatureModel
import Hummingbird
import Logging
import ServiceLifecycle
import Sync
import Telemetry

/// The sync service's own HTTP listener: `/metrics` for Prometheus, `/livez` for whoever restarts it.
struct MetricsPage: Service {
    /// `nil` for no listener.
    let address: NetworkAddress?
    let metrics: SyncMetrics
    let logger: Logger

    func run() async throws {
        guard let address else {
            try await gracefulShutdown()
            return
        }
        let registry = metrics.registry
        ProcessMetrics.install(in: registry)
        registry.setInfo(.build, [Tidemark.version])
        let router = Router()
        router.get("/metrics") { request, _ in
            let format = ExpositionFormat.preferred(accept: request.headers[.accept])
            return Response(
                status: .ok, headers: [.contentType: format.contentType],
                body: ResponseBody(byteBuffer: ByteBuffer(string: registry.render(format))))
        }
        router.get("/livez") { _, _ in "ok\n" }
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: .hostname(address.host, port: address.port), serverName: nil),
            logger: logger)
        try await application.runService(gracefulShutdownSignals: [])
    }
}
