import ArgumentParser
import FeatureModel
import Foundation
import Glibc
import Logging
import NIOCore
import OnlineStore
import Ranking
import Recommend
import RedisClient
import Resilience
import ServiceLifecycle
import Serving
import ServingGRPC
import Telemetry
import UnixSignals

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve features over HTTP and gRPC until stopped.",
        discussion: """
            Answers POST /v1/lookup and Feast's POST /get-online-features from the online store, takes Feast's POST /push \
            and /write-to-online-store, and has GET /readyz, /livez, /health and /metrics beside them; GET /openapi.json \
            describes all routes. The definitions come from the store, \
            where `apply` or the first `sync` put them; a flip to another version is followed within serve.catalog_refresh.

            Where serve.grpc says so, feast.serving.ServingService, tidemark.v1.FeatureService, tidemark.v1.RecommendService and \
            grpc.health.v1.Health are served over gRPC; schemas/proto has their definitions.

            Every request has a deadline: X-Request-Timeout-Ms or grpc-timeout, at most serve.max_timeout, or serve.timeout. What the \
            store doesn't deliver by then is FAILED in the answer, which says so under `degraded`; it is never late. While \
            the store is down the daemon stays ready and says that it is degraded.

            SIGTERM and SIGINT: /readyz turns to 503, after serve.unready nothing new is taken, and requests under way end \
            within serve.drain. Exit 0 then; 1 when the address is taken; 2 for a wrong config.

            serve.tls and admin.tls encrypt the listeners; serve.tokens and serve.jwt say who may read and who may write \
            (`tidemark admin token` makes a token). Health, metrics and /openapi.json are open.

            A changed config file, and changed files of certificates, keys and tokens, take force within seconds, or at once on SIGHUP: \
            limits, deadlines, breaker, pipelines, recall lists, log level, share of traces, tokens and certificates, \
            without a dropped request. A wrong one is logged and leaves the old in force. Address, threads, number of \
            connections, the store, models and the collector of traces count from the next start.

            With telemetry.traces.endpoint, or OpenTelemetry's OTEL_EXPORTER_OTLP_ENDPOINT, traces go to a collector (OTLP over \
            HTTP, JSON). A caller's traceparent is followed; of other requests telemetry.traces.sample_ratio are recorded.

            With `serve.feast` in the config it serves, read only, what Feast materialized: the views of Feast's registry file, \
            by the rows in Feast's Redis, through the same routes. The file is read again when it changes; the last good one \
            stays in force. No online_store and no sources are needed then.

            With `admin:` in the config there is an admin listener beside it, on 127.0.0.1:6567 unless admin.http says \
            otherwise; it wants a bearer token (`tidemark admin token`), and refuses everything while none is configured.

            tidemark serve
            tidemark serve --http 127.0.0.1:0
            curl -s localhost:6566/v1/lookup -d '{"features":["user_activity:views_7d"],"entities":[{"user_id":1}]}'
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions

    @Option(name: .long, help: "HOST:PORT to listen on, in place of serve.http; port 0 takes a free one.")
    var http: String?

    @Option(name: .long, help: "HOST:PORT to serve gRPC on, in place of serve.grpc; port 0 takes a free one.")
    var grpc: String?

    func run() async throws {
        let project: ServingProject
        do {
            project = try ServingProject.load(configPath: global.config ?? root.global.config, http: http, grpc: grpc)
        } catch {
            Console.error("\(error)")
            throw Ending.usage
        }
        try await Console.reporting { try await Self.serve(project) }
    }

    private static func serve(_ project: ServingProject) async throws {
        let logger = project.logger
        let access = try await ServingAccess(project)
        let feast = project.config.serve.feast
        let store: any OnlineStore
        if let feast {
            store = try await StoreOpener.openFeast(feast, configPath: project.configPath, logger: logger)
        } else {
            store = try await StoreOpener.open(project.config, configPath: project.configPath)
        }
        let watcher = CatalogWatcher(
            store: store, project: project.served, interval: project.config.serve.catalogRefresh, logger: logger)
        // Feast's rows lie where no lane of ours looks.
        let lane =
            feast == nil ? try StoreOpener.laneConfiguration(project.config, configPath: project.configPath) : nil
        let traces: TraceService
        do {
            traces = try TraceService(
                project.config, configPath: project.configPath, registry: project.registry, logger: logger)
        } catch {
            await store.close()
            throw error
        }
        let serving = ServingContext(
            settings: project.settings, metrics: ServingMetrics(registry: project.registry),
            gate: StoreGate(Breaker.Configuration(project.config.serve.breaker, longestCall: project.settings.timeout)),
            catalog: watcher, store: store, lane: lane,
            security: access.serve, access: access.data, tracer: traces.tracer, logger: logger)
        let models = ModelHome(
            project.config, configPath: project.configPath, catalogs: watcher, registry: project.registry,
            logger: logger)
        let home: RecommendHome
        let events: EventHome
        do {
            events = try EventHome(
                project.config, configPath: project.configPath, registry: project.registry, logger: logger)
            home = try RecommendHome(
                project.config, configPath: project.configPath, catalogs: watcher, rows: LaneRows(serving),
                ranker: { models.registry.ranker($0) },
                registry: project.registry, logger: logger, expose: events.expose)
        } catch let error as UsageError {
            await store.close()
            Console.error("\(error)")
            throw Ending.usage
        }
        // Models are held against the catalog: without one they are taken as they are.
        _ = await watcher.look()
        await models.registry.load()
        await home.load()
        let routes =
            writeRoutes(project, serving, store) + EventRoutes(serving, events.intake).routes
        let daemon = ServingDaemon(serving, recommender: home.recommender, routes: routes) { endpoint in
            let scheme = access.serve == nil ? "http" : "https"
            print("tidemark serves \(project.served) on \(scheme)://\(endpoint)")
            logger.info(
                "the serving daemon listens",
                metadata: [
                    "address": "\(endpoint)", "project": "\(project.served)", "config": "\(project.hash)",
                    "threads": "\(project.settings.threads)", "store": "\(store.kind)",
                ])
        }
        do {
            let (hangups, hangup) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            let admin = AdminService(project, access)
            let reloader = Self.reloader(project, serving, watcher, hangups, access, admin, home, traces)
            // Services are told of the end the last first: what is traced comes behind the exporter.
            var services: [any Service] = traces.exporter.map { [$0] } ?? []
            services += [watcher, reloader, HangupSignal(hangup), models] + events.writers + home.services
            if let admin {
                services.append(
                    admin.listener(project, serving, store, reloader, gates: home.gates, models: models.registry))
            }
            services += [ListenerGroup([daemon] + Self.grpcDaemon(project, serving, store, home))] + home.followers
            let last = traces.flush + project.config.serve.drain * events.writers.count
            try await run(services + [DrainNotice(serving)], project, flush: last)
        } catch let error as AdminListenError {
            await store.close()
            Console.error(error.description)
            throw Ending.failed
        } catch let error as GRPCDaemon.ListenError {
            await store.close()
            Console.error(
                error.errnoCode == EADDRINUSE
                    ? "\(error.address) is taken by another process; stop that one, or set serve.grpc or --grpc"
                    : error.description)
            throw Ending.failed
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            await store.close()
            Console.error(
                "\(project.settings.address) is taken by another process; stop that one, or set serve.http or --http")
            throw Ending.failed
        } catch let error as IOError {
            await store.close()
            let reason = unsafe String(cString: strerror(error.errnoCode))
            Console.error("can't listen on \(project.settings.address): \(reason)")
            throw Ending.failed
        }
        await store.close()
        logger.info("the serving daemon ended")
    }

    /// Feast's routes that write. Its own rows are only read.
    private static func writeRoutes(
        _ project: ServingProject, _ serving: ServingContext, _ store: any OnlineStore
    ) -> [ServingRoute] {
        guard project.config.serve.feast == nil else {
            return WriteRoutes.refusing(
                "the rows of project \(project.served) are Feast's and only read here; write and materialize with Feast"
            )
        }
        return WriteRoutes(FeatureWriter(store, project: project.served), project: project.served) {
            serving.liveSettings
        }.routes()
    }

    /// The listener of gRPC, where there is to be one.
    private static func grpcDaemon(
        _ project: ServingProject, _ serving: ServingContext, _ store: some OnlineStore, _ home: RecommendHome
    ) -> [any Service] {
        guard let address = project.grpc else { return [] }
        let settings = GRPCSettings(project.settings, address: address)
        let (name, logger) = (project.served, project.logger)
        return [
            GRPCDaemon(
                serving, store: store, recommender: home.recommender, settings: settings, version: Tidemark.version
            ) { address in
                print("tidemark serves \(name) over gRPC on \(address)")
                logger.info("the gRPC listener listens", metadata: ["address": "\(address)", "project": "\(name)"])
            }
        ]
    }

    private static func reloader(
        _ project: ServingProject, _ serving: ServingContext, _ watcher: CatalogWatcher, _ hangups: AsyncStream<Void>,
        _ access: ServingAccess, _ admin: AdminService?, _ home: RecommendHome,
        _ traces: TraceService
    ) -> ConfigReloader {
        let path = project.configPath
        return ConfigReloader(
            config: project.config, text: project.text, hangups: hangups, logger: project.logger,
            registry: project.registry, read: { try ConfigFiles.read(path, what: "the config file") },
            prepare: { config in
                let commit = try await access.prepare(config)
                let recommend = try await home.prepare(config)
                return {
                    commit()
                    project.sink.level = ProcessLog.level(config.telemetry)
                    serving.reconfigure(ServerSettings(config, cores: project.settings.threads))
                    traces.apply(config)
                    serving.gate.configure(
                        Breaker.Configuration(config.serve.breaker, longestCall: config.serve.timeout))
                    watcher.setInterval(config.serve.catalogRefresh)
                    admin?.tookConfig()
                    recommend()
                }
            }, refresh: { try await access.refresh($0) })
    }

    private static func run(_ services: [any Service], _ project: ServingProject, flush: Duration) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: project.logger)
        let serve = project.config.serve
        configuration.maximumGracefulShutdownDuration = serve.unready + serve.drain + flush + .seconds(5)
        configuration.maximumCancellationDuration = .seconds(5)
        try await ServiceGroup(configuration: configuration).run()
    }
}

/// What the serving daemon is started with: the config alone. The definitions are in the store.
struct ServingProject: Sendable {
    let configPath: String
    let config: Config
    /// What `config` was parsed from.
    let text: [UInt8]
    let settings: ServerSettings
    /// Where gRPC is served; `nil` for nowhere.
    let grpc: NetworkAddress?
    /// The project whose features are served.
    var served: String { config.servedProject }

    /// Of the config's text, 16 hex digits.
    let hash: String
    let logger: Logger
    let sink: LogSink
    let registry: MetricRegistry

    /// Reads the config. Errors are in words, one a line.
    static func load(configPath given: String?, http: String?, grpc: String?) throws -> ServingProject {
        let path = given ?? ProcessInfo.processInfo.environment["TIDEMARK_CONFIG"] ?? "tidemark.yaml"
        let text = try ConfigFiles.read(path, what: "the config file")
        let config = try Config.parse(file: path, text: text)
        var settings = ServerSettings(config, cores: ProcessInfo.processInfo.activeProcessorCount)
        if let http {
            guard let address = NetworkAddress(spelling: http) else {
                throw UsageError("--http \(http): expected HOST:PORT, such as 127.0.0.1:6566")
            }
            settings.address = address
        }
        var grpcAddress = config.serve.grpc
        if let grpc {
            guard let address = NetworkAddress(spelling: grpc) else {
                throw UsageError("--grpc \(grpc): expected HOST:PORT, such as 127.0.0.1:6568")
            }
            grpcAddress = address
        }
        let registry = MetricRegistry()
        ProcessMetrics.install(in: registry)
        registry.setInfo(.build, [Tidemark.version])
        let sink = ProcessLog.makeSink(config.telemetry, registry)
        return ServingProject(
            configPath: path, config: config, text: text, settings: settings, grpc: grpcAddress,
            hash: ConfigReloader.hash(text),
            logger: ProcessLog.makeLogger(sink), sink: sink, registry: registry)
    }
}

extension OnlineStore {
    /// For people.
    fileprivate var kind: String { "\(Self.self)" }
}
