import FeatureModel
import FoundationEssentials
import Glibc
import LocalDatabase
import Testing
import TidemarkTesting

/// A small project that is in step, for a test to spoil: three users in a SQLite file, a Redis, the built `tidemark`.
struct Lab: Sendable {
    /// The password of the Redis user that `tidemark` is; must never be seen in what it prints.
    static let secret = "correct-horse-battery-staple"

    let redis: RedisServer
    let workdir: Workdir

    /// Whether the built `tidemark` and a `redis-server` are here.
    static let isPossible: Bool = {
        let isPossible = DaemonProcess.tidemark != nil && RedisServer.isAvailable
        if !isPossible { print("tidemark is not built or redis-server is missing: wrong-input tests are SKIPPED") }
        return isPossible
    }()

    /// What went wrong with the lab itself.
    struct Failure: Error {
        let text: String
    }

    /// Sets a project up for the duration of `body`; nothing is synced yet.
    static func with(_ body: (Lab) async throws -> Void) async throws {
        var options = RedisServer.Options()
        options.configuration = ["enable-protected-configs local", "user app on >\(secret) ~* &* +@all"]
        try await Workdir.with { workdir in
            try await RedisServer.with(options) { redis in
                let lab = Lab(redis: redis, workdir: workdir)
                try lab.workdir.write(lab.config, to: "tidemark.yaml")
                try lab.workdir.write(definitions, to: "definitions/lab.yaml")
                try await lab.execute(
                    """
                    CREATE TABLE users (id INTEGER PRIMARY KEY, views INTEGER, name TEXT, seq INTEGER);
                    INSERT INTO users VALUES (1, 10, 'ann', 1), (2, 20, 'bob', 2), (3, NULL, 'cy', 3);
                    """)
                try await body(lab)
            }
        }
    }

    var config: String {
        config(store: "{url: \"\(redis.url)\", username: app, password: \"env:LAB_PASSWORD\", command_timeout: 2s}")
    }

    /// The config, with `online_store` in flow style.
    func config(store: String) -> String {
        """
        project: lab
        schemas: definitions
        online_store: \(store)
        sources:
          shop: {url: "sqlite:shop.db", lock_timeout: 50ms}
        sync:
          metrics: "off"
          retry: {initial: 10ms, maximum: 20ms}
        """
    }

    static let definitions = """
        entities:
          user: {keys: {user_id: int64}}
        views:
          activity:
            entity: user
            source:
              from: shop
              query: SELECT id AS user_id, views, name, seq FROM users
              watermark: {column: seq, tie_breaker: [user_id], lookback: 0}
            every: 1m
            ttl: 1d
            sweep: 6h
            features: {views: int64, name: string}
        services:
          ranker: [activity]
        """

    // MARK: tidemark

    /// Runs `tidemark` in the project's folder to its end; no output of it may hold the secret.
    func run(
        _ arguments: [String], environment: [String: String] = [:], prefix: [String] = [],
        location: SourceLocation = #_sourceLocation
    ) async throws -> DaemonProcess.Ending {
        guard let program = DaemonProcess.tidemark else { throw Failure(text: "tidemark is not built") }
        var variables = ["LAB_PASSWORD": Self.secret, "TIDEMARK_CONFIG": workdir.file("tidemark.yaml")]
        variables.merge(environment) { $1 }
        let words = prefix + [program] + arguments
        let process = try DaemonProcess(words[0], Array(words.dropFirst()), environment: variables)
        let ending = await process.ending(within: .seconds(40))
        #expect(!ending.timedOut, "\(arguments) did not end", sourceLocation: location)
        #expect(ending.signal == nil, "\(arguments): \(ending.story)", sourceLocation: location)
        let said = ending.output + ending.errors
        #expect(!said.contains(Self.secret), "\(arguments) shows the password", sourceLocation: location)
        for dump in ["Error(", "Optional(", "Swift.", "Fatal error", "NIOCore", "descriptor:"] {
            #expect(!said.contains(dump), "\(arguments) prints a dump: \(said)", sourceLocation: location)
        }
        return ending
    }

    /// Runs `tidemark` and expects an exit code, and words on standard error (on any output for results).
    @discardableResult
    func expect(
        _ arguments: [String], code: Int32, words: [String] = [], environment: [String: String] = [:],
        prefix: [String] = [], location: SourceLocation = #_sourceLocation
    ) async throws -> DaemonProcess.Ending {
        let ending = try await run(arguments, environment: environment, prefix: prefix, location: location)
        #expect(ending.code == code, "\(arguments): \(ending.story)", sourceLocation: location)
        let said = code == 1 || code == 2 ? ending.errors : ending.output + ending.errors
        for word in words {
            #expect(said.contains(word), "\(arguments) lacks \"\(word)\": \(ending.story)", sourceLocation: location)
        }
        return ending
    }

    // MARK: Source

    /// Runs statements on the source, or another SQLite file; it is opened and closed for it.
    func execute(_ sql: String, in file: String = "shop.db") async throws {
        let database = try await LocalDatabase(.init(path: workdir.file(file), busyTimeoutMilliseconds: 10_000))
        try await database.run { try $0.execute(sql) }
        await database.close()
    }

    /// What happens in the meantime: something to lose.
    func change() async throws {
        try await execute(
            "UPDATE users SET views = 21, seq = 4 WHERE id = 2; INSERT INTO users VALUES (4, 40, 'dee', 5);")
    }

    // MARK: Store

    /// Runs a Redis command as an operator would.
    @discardableResult
    func redis(_ words: String...) async throws -> String {
        let process = try DaemonProcess("/usr/bin/redis-cli", ["-s", redis.socketPath] + words)
        return await process.ending(within: .seconds(20)).output
    }

    /// The key of a user's row.
    func rowKey(_ user: Int) -> String {
        KeySpace(project: "lab", viewKey: "activity", version: 1).rowKey(EntityKey(canonical: "\(user)"))
    }

    /// Nothing was lost: readers see what the source holds, each row of it and no other.
    func expectInStep(_ name: String, location: SourceLocation = #_sourceLocation) async throws {
        let database = try await LocalDatabase(.init(path: workdir.file("shop.db"), busyTimeoutMilliseconds: 10_000))
        let rows = try await database.run { try $0.rows("SELECT id, views, name FROM users ORDER BY id") }
        await database.close()
        var expected: [Int64: Answer.Row] = [:]
        for row in rows {
            guard case .integer(let id) = row[0] else { continue }
            var values: [Answer.Value] = []
            for value in row[1...] {
                switch value {
                case .integer(let number): values.append(.number(number))
                case .text(let text): values.append(.text(text))
                default: values.append(.null)
                }
            }
            expected[id] = Answer.Row(values: values)
        }
        let ending = try await run(
            ["lookup", "--service", "ranker", "--entity", "user_id=1,2,3,4,5,6", "--json"], location: location)
        let answer = try JSONDecoder().decode(Answer.self, from: Data(ending.output.utf8))
        for (index, row) in answer.rows.enumerated() {
            let wanted = expected[Int64(index + 1)] ?? Answer.Row(values: [.null, .null])
            #expect(row.values == wanted.values, "\(name): user \(index + 1)", sourceLocation: location)
        }
        try await expect(["verify"], code: 0, words: ["0 missing, 0 different, 0 gone"], location: location)
    }
}

/// The part of `/v1/lookup`'s body that these tests look at.
struct Answer: Decodable {
    enum Value: Decodable, Equatable {
        case null
        case number(Int64)
        case text(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let number = try? container.decode(Int64.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    struct Row: Decodable {
        let values: [Value]
    }

    let rows: [Row]
}
