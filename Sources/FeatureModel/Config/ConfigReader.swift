extension Config {
    /// Reads a config file.
    ///
    /// - Throws: Everything that is wrong in it.
    package static func parse(file: String, text: [UInt8]) throws(DefinitionErrors) -> Config {
        var reader = ConfigReader(file: file)
        let config = reader.read(text)
        try reader.diagnostics.throwIfAny(order: [file])
        guard let config else { throw DefinitionErrors([reader.unreadable]) }
        return config
    }

    /// Checks that each view of a catalog reads from a configured source, and that recall lists name entities. For catalogs that don't come from files;
    /// `Catalog.compile` checks those, and names their lines.
    ///
    /// - Throws: One error for each view that doesn't.
    package func validate(_ catalog: Catalog) throws(DefinitionErrors) {
        var diagnostics = Diagnostics()
        let names = sources.map(\.name)
        for view in catalog.views where !names.contains(view.source.from) {
            diagnostics.reportUnknown(
                Place(file: file, line: sourcesLine, column: 1), "sources", view.source.from,
                kind: "the view \(view.name) to read from a source of the config", among: names)
        }
        recall?.validate(catalog, Place(file: file, line: sourcesLine, column: 1), into: &diagnostics)
        try diagnostics.throwIfAny(order: [file])
    }
}

/// Turns a config file into a `Config`, and checks what the declaration's shape can't say.
struct ConfigReader {
    private static let starter = """
        {project: shop, online_store: {url: "redis://127.0.0.1:6379/0"}, sources: {shop: {url: "sqlite:shop.db"}}}
        """

    let file: String
    var diagnostics = Diagnostics()

    init(file: String) {
        self.file = file
    }

    var unreadable: DefinitionError {
        DefinitionError(
            file: file, line: 1, column: 1, path: "", found: "an incomplete config", expected: "a whole one")
    }

    mutating func read(_ text: [UInt8]) -> Config? {
        guard let root = YAMLReader.read(file: file, bytes: text, starter: Self.starter, into: &diagnostics) else {
            return nil
        }
        let isFeast = root["serve"]?["feast"] != nil
        ShapeChecker.check(
            root, .object(isFeast ? ConfigShape.rootWithFeast : ConfigShape.root), "", into: &diagnostics)
        // Where Feast's rows are served nothing of ours need be there.
        let store = store(root["online_store"], at: "online_store", urlKey: "url") ?? (isFeast ? .absent : nil)
        let feast = feast(root["serve"]?["feast"], project: root["project"]?.text)
        let sources = (root["sources"]?.entries ?? []).compactMap { source($0) }
        checkTimes(root)
        checkServe(root["serve"])
        checkPipelines(root)
        var admin: AdminConfig?
        if let node = root["admin"] { admin = AdminConfig(node, into: &diagnostics) }
        let recall = recall(root["recall"], sources: sources)
        let models = models(root["models"], sources: sources.map(\.name))
        let exposures = eventLog(root["exposures"], at: "exposures", online: store)
        let events = events(root["events"], online: store, exposures: exposures)
        guard let project = root["project"]?.text, let store, isFeast ? feast != nil : !sources.isEmpty else {
            return nil
        }
        return Config(
            file: file, project: project, schemas: root["schemas"]?.text ?? "schemas/\(project)", onlineStore: store,
            sources: sources, sync: Self.sync(root["sync"]), serve: Self.serve(root["serve"], feast: feast),
            telemetry: Self.telemetry(root["telemetry"]), admin: admin,
            pipelines: Self.pipelines(root["pipelines"]), recall: recall, models: models,
            exposures: exposures, events: events,
            document: DocumentValue.redacting(root, as: .object(ConfigShape.root)),
            uninterpreted: Self.uninterpreted(root),
            sourcesLine: root["sources"]?.place.line ?? 1)
    }

    private static func uninterpreted(_ root: YAMLNode) -> [String] {
        root.entries.map(\.key).filter(ConfigShape.uninterpreted.contains)
    }

    // MARK: Store and sources

    mutating func store(_ node: YAMLNode?, at path: String, urlKey: String) -> StoreConfig? {
        guard let node, let text = node[urlKey]?.text else { return nil }
        let url: StoreURL
        do throws(URLProblem) {
            url = try StoreURL(text)
        } catch {
            report(error, node[urlKey], "\(path).\(urlKey)")
            return nil
        }
        checkLogin(node, path, text, needed: url.scheme.isRedis, scheme: url.scheme.rawValue)
        if url.scheme == .redisSentinel || url.scheme == .redisCluster, let place = node[urlKey]?.place {
            diagnostics.report(
                place, "\(path).\(urlKey)", found: "\(url.scheme.rawValue)://", expected: StoreURL.expected,
                help: "this release knows no Sentinel and no Cluster: name the server to write to")
        }
        if let file = node["ca_file"], url.scheme != .rediss {
            diagnostics.report(
                file.place, "\(path).ca_file", found: "it beside \(url.scheme.rawValue):",
                expected: "it only for rediss:")
        }
        let pipeline = node["pipeline"]
        return StoreConfig(
            url: url, username: node["username"]?.text, password: Self.secret(node["password"]),
            caFile: node["ca_file"]?.text, connectTimeout: node["connect_timeout"]?.duration ?? .seconds(2),
            commandTimeout: node["command_timeout"]?.duration ?? .seconds(1),
            maximumConnections: Self.count(node["max_connections"], 4),
            pipelineCommands: Self.count(pipeline?["commands"], 2_000),
            pipelineBytes: Int(pipeline?["bytes"]?.byteCount ?? 8 << 20))
    }

    private mutating func source(_ entry: YAMLNode.Entry) -> SourceConfig? {
        let node = entry.value
        let path = "sources".appending(key: entry.key)
        guard let text = node["url"]?.text else { return nil }
        let url: SourceURL
        do throws(URLProblem) {
            url = try SourceURL(text)
        } catch {
            report(error, node["url"], "\(path).url")
            return nil
        }
        checkLogin(node, path, text, needed: url.scheme == .postgresql, scheme: url.scheme.rawValue)
        let statementTimeout = node["statement_timeout"]?.duration ?? .seconds(30)
        if let lock = node["lock_timeout"], let timeout = lock.duration, timeout > statementTimeout {
            diagnostics.report(
                lock.place, "\(path).lock_timeout", found: lock.found,
                expected: "at most statement_timeout = \(statementTimeout.mixedSpelling)",
                help: "the statement would end first")
        }
        return SourceConfig(
            name: entry.key, url: url, username: node["username"]?.text, password: Self.secret(node["password"]),
            connectTimeout: node["connect_timeout"]?.duration ?? .seconds(5), statementTimeout: statementTimeout,
            lockTimeout: node["lock_timeout"]?.duration ?? min(.seconds(2), statementTimeout))
    }

    private mutating func report(_ problem: URLProblem, _ node: YAMLNode?, _ path: String) {
        guard let place = node?.place else { return }
        diagnostics.report(
            place, path, found: problem.found, expected: problem.expected, suggestion: problem.suggestion,
            help: problem.help)
    }

    private mutating func checkLogin(
        _ node: YAMLNode, _ path: String, _ url: String, needed: Bool, scheme: String
    ) {
        for key in ["username", "password"] {
            guard let place = node[key]?.place, !needed else { continue }
            diagnostics.report(
                place, "\(path).\(key)", found: "it beside \(scheme):",
                expected: "no \(key), since nobody logs in there")
        }
        if let name = node["username"], needed, url.contains("@") {
            diagnostics.report(
                name.place, "\(path).username", found: "a user here and in the URL", expected: "one of them")
        }
    }

    private static func secret(_ node: YAMLNode?) -> Secret? {
        node?.text.flatMap(Secret.init(spelling:))
    }

    static func count(_ node: YAMLNode?, _ fallback: Int) -> Int {
        node?.integer.map(Int.init) ?? fallback
    }

    // MARK: Sync and telemetry

    private static func sync(_ node: YAMLNode?) -> SyncConfig {
        let retry = node?["retry"]
        let breaker = node?["breaker"]
        let metrics = node?["metrics"]?.text ?? "127.0.0.1:9566"
        return SyncConfig(
            metrics: NetworkAddress(spelling: metrics), chunkRows: count(node?["chunk_rows"], 1_000),
            chunksInFlight: count(node?["chunks_in_flight"], 4), lease: node?["lease"]?.duration ?? .seconds(30),
            sweepRowsPerSecond: count(node?["sweep_rows_per_second"], 5_000),
            quarantineLimit: count(node?["quarantine_limit"], 10_000),
            erasures: node?["erasures"]?.text ?? "erasures.jsonl",
            retry: RetryConfig(
                initial: retry?["initial"]?.duration ?? .milliseconds(200),
                maximum: retry?["maximum"]?.duration ?? .seconds(30), budget: retry?["budget"]?.number ?? 0.2),
            breaker: BreakerConfig(
                failures: count(breaker?["failures"], 5), open: breaker?["open"]?.duration ?? .seconds(10)),
            shutdown: node?["shutdown"]?.duration ?? .seconds(10))
    }

    private static func telemetry(_ node: YAMLNode?) -> TelemetryConfig {
        TelemetryConfig(
            logLevel: node?["log_level"]?.text.flatMap(TelemetryConfig.LogLevel.init(rawValue:)) ?? .info,
            logFormat: node?["log_format"]?.text.flatMap(TelemetryConfig.LogFormat.init(rawValue:)) ?? .text,
            slowRequest: node?["slow_request"]?.duration ?? .seconds(1), traces: TracesConfig(node?["traces"]))
    }

    /// Checks times against each other, defaults too.
    private mutating func checkTimes(_ root: YAMLNode) {
        let sync = Self.sync(root["sync"])
        let command = root["online_store"]?["command_timeout"]
        let timeout = command?.duration ?? .seconds(1)
        require(
            sync.lease >= timeout * 3, root["sync"]?["lease"] ?? command, "sync.lease", sync.lease,
            "at least 3 × online_store.command_timeout = 3 × \(timeout.mixedSpelling) = \((timeout * 3).mixedSpelling)",
            "a lease must outlive a slow write and its renewal")
        require(
            sync.shutdown >= timeout, root["sync"]?["shutdown"] ?? command, "sync.shutdown", sync.shutdown,
            "at least online_store.command_timeout = \(timeout.mixedSpelling)", "a write in flight must be able to end")
        let retry = root["sync"]?["retry"]
        require(
            sync.retry.initial <= sync.retry.maximum, retry?["initial"] ?? retry?["maximum"], "sync.retry.initial",
            sync.retry.initial, "at most maximum = \(sync.retry.maximum.mixedSpelling)", nil)
    }

    mutating func require(
        _ holds: Bool, _ node: YAMLNode?, _ path: String, _ found: Duration, _ expected: String, _ help: String?
    ) {
        require(holds, node, path, found: found.mixedSpelling, expected, help)
    }

    mutating func require(
        _ holds: Bool, _ node: YAMLNode?, _ path: String, found: String, _ expected: String, _ help: String?
    ) {
        guard !holds, let node else { return }
        diagnostics.report(node.place, path, found: found, expected: expected, help: help)
    }
}

extension StoreURL.Scheme {
    /// Whether it is a Redis server of some kind.
    package var isRedis: Bool {
        switch self {
        case .redis, .rediss, .redisUnix, .redisSentinel, .redisCluster: true
        case .sqlite, .memory: false
        }
    }
}
