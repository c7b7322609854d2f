import FeatureModel
import Foundation
import Testing
import TidemarkTesting

/// Values are those of the source, whichever way they are asked for: 10,000 random lookups of the demo's shop and of real
/// transactions, over both HTTP routes, gRPC and the command.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(5))) struct LookupValueTests {
    private static let lookups = 10_000
    /// Lookups that one run of the command makes, which takes longer to start than to read.
    private static let lookupsPerCommand = 250
    /// The top of the repository.
    private static let root = FeastClient.root

    @Test(arguments: SeededGenerator.seeds(1))
    func ofTheDemosShop(_ seed: UInt64) async throws {
        try await Self.stage("shop", schemas: "\(Self.root)/schemas/shop", source: "shop") { stage in
            _ = try await stage.succeed(
                "seed", "--out", stage.workdir.file("source.db"), "--users", "500", "--items", "200", "--events",
                "10000", "--seed",
                "42")
            try await stage.succeed("sync", "--once")
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(Self.root)/schemas/shop").sorted()
            let files = try names.filter { $0.hasSuffix(".yaml") }.map { name in
                (name, [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(Self.root)/schemas/shop/\(name)"))))
            }
            let source = try await SQLiteSource(path: stage.workdir.file("source.db"))
            let truth = try await LookupTruth(Catalog.compile(project: "shop", files: files), from: source)
            await source.close()
            try await Self.ask(stage, truth, seed: seed, name: "the demo's shop")
        }
    }

    @Test(.enabled(if: RetailView.isDataHere), arguments: SeededGenerator.seeds(1))
    func ofRealTransactions(_ seed: UInt64) async throws {
        try await Self.stage(Stage.project, schemas: "definitions", source: "bank") { stage in
            let views = RetailView.all(.sqlite)
            let source = try await SQLiteSource(path: stage.workdir.file("source.db"))
            try await source.commit(
                [
                    OnlineRetail.createTable, "CREATE INDEX by_customer ON transactions(customer_id)",
                    "CREATE INDEX by_product ON transactions(stock_code, line_id)",
                ]
                    + OnlineRetail.days().flatMap { Replay.statements($0.rows) })
            try stage.workdir.write(RetailView.definitions(views), to: "definitions/retail.yaml")
            for view in views where view.isTracked {
                try await stage.succeed("source", "install", view.name, "--apply")
            }
            try await stage.succeed("sync", "--once")
            let catalog = try Catalog.compile(
                project: Stage.project, files: [("retail.yaml", Array(RetailView.definitions(views).utf8))])
            var rows: [String: [String: [FeatureValue]]] = [:]
            for retail in views {
                rows[retail.name] = try await retail.rows(from: source, try #require(catalog.view(retail.name)))
            }
            await source.close()
            try await Self.ask(
                stage, try LookupTruth(views: catalog.views, rows: rows), seed: seed, name: "online retail")
        }
    }

    // MARK: The stage

    /// A project in a folder, over a Redis of its own.
    private struct LookupStage: Sendable {
        let workdir: Workdir

        func start(_ arguments: [String]) throws -> DaemonProcess {
            let program = try #require(DaemonProcess.tidemark)
            return try DaemonProcess(program, arguments + ["--config", workdir.file("tidemark.yaml")])
        }

        @discardableResult func succeed(_ arguments: String...) async throws -> DaemonProcess.Ending {
            try await succeed(arguments)
        }

        @discardableResult func succeed(_ arguments: [String]) async throws -> DaemonProcess.Ending {
            let ending = try await start(arguments).ending()
            try #require(ending.code == 0, "tidemark \(arguments.prefix(4)): \(ending.story)")
            return ending
        }
    }

    private static func stage(
        _ project: String, schemas: String, source: String, _ body: (LookupStage) async throws -> Void
    ) async throws {
        try await Places.shared.with {
            try await Workdir.with { workdir in
                try await RedisServer.with { redis in
                    try workdir.write(
                        """
                        project: \(project)
                        schemas: "\(schemas)"
                        online_store: {url: "\(redis.url)", command_timeout: 10s}
                        sources:
                          \(source): {url: "sqlite:\(workdir.file("source.db"))"}
                        sync: {metrics: "off", lease: 60s}
                        serve: {http: "127.0.0.1:0", grpc: "127.0.0.1:0", timeout: 10s, max_timeout: 10s}
                        telemetry: {log_format: json}
                        """, to: "tidemark.yaml")
                    try await body(LookupStage(workdir: workdir))
                }
            }
        }
    }

    private static func ask(_ stage: LookupStage, _ truth: LookupTruth, seed: UInt64, name: String) async throws {
        let daemon = try stage.start(["serve"])
        let port = try await port(daemon, "the serving daemon listens")
        let grpcPort = try await Self.port(daemon, "the gRPC listener listens")
        let client = try RawClient(port: port)
        // The first look at the catalog may still be under way.
        for _ in 0..<1_000 where try await client.ask("GET", "/readyz").status != 200 {}
        var random = SeededGenerator(seed: seed)
        let questions = (0..<lookups).map { _ in truth.question(entities: 1, &random) }
        let ways = LookupWays(truth: truth, port: port)
        var differences: [String] = []
        var counts = [
            try await ways.ours(questions, &differences), try await ways.feasts(questions, &differences),
        ]
        let grpc = try await ways.grpc(questions, port: grpcPort)
        counts.append(grpc.values)
        differences += grpc.differences
        counts.append(try await commands(stage, truth, ways, &random, &differences))
        print(
            "\(name): \(lookups) lookups each over /v1/lookup, /get-online-features, gRPC and the command, seed \(seed), "
                + "\(counts) values of \(truth.rowCount) rows compared, \(differences.count) differ")
        #expect(differences.isEmpty, "\(differences.prefix(5))")
        daemon.terminate()
        #expect(await daemon.ending(within: .seconds(20)).code == 0)
    }

    private static func commands(
        _ stage: LookupStage, _ truth: LookupTruth, _ ways: LookupWays, _ random: inout SeededGenerator,
        _ differences: inout [String]
    ) async throws -> Int {
        var values = 0
        for _ in 0..<lookups / lookupsPerCommand {
            let question = truth.question(entities: lookupsPerCommand, &random)
            let ending = try await stage.succeed(LookupWays.arguments(question))
            values += try ways.command(question, ending.output, &differences)
        }
        return values
    }

    /// The port in the log line that says where something listens.
    private static func port(_ daemon: DaemonProcess, _ words: String) async throws -> Int {
        guard await daemon.hasSaid(words) else { throw BankError(daemon.errorText) }
        let line = daemon.errorText.split(separator: "\n").first { $0.contains(words) } ?? ""
        let start = try #require(line.range(of: "127.0.0.1:"), "\(line)")
        return try #require(Int(line[start.upperBound...].prefix { $0.isNumber }), "\(line)")
    }
}
