import FeatureModel
import Foundation
import Serving
import ServingProtos
import SwiftProtobuf
import Testing
import TidemarkTesting

/// `tidemark serve` as a process: it answers, and SIGTERM ends it in good order.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(3))) struct ServeTests {
    static func serve(
        _ stage: Stage, _ arguments: [String] = [], environment: [String: String] = [:]
    ) async throws -> (DaemonProcess, port: Int) {
        let daemon = try stage.start(["serve", "--http", "127.0.0.1:0"] + arguments, environment: environment)
        guard await daemon.hasSaid("the serving daemon listens") else { throw BankError(daemon.errorText) }
        guard let start = daemon.errorText.range(of: "127.0.0.1:"),
            let port = Int(daemon.errorText[start.upperBound...].prefix { $0.isNumber })
        else { throw BankError("no address in \(daemon.errorText)") }
        return (daemon, port)
    }

    @Test func itAnswersWithWhatWasSyncedAndEndsWhenTold() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage in
                let bank = BankView(following: .column)
                var model = BankModel(.column, seed: 11)
                try await stage.source.commit(model.schema(stage.source))
                try await stage.source.commit(model.open(50))
                try stage.define(bank.definitions)
                try await stage.succeed("sync", "--once")
                let (daemon, port) = try await Self.serve(stage)
                let expected = try await bank.expected(
                    from: stage.source, features: try bank.compiled(project: Stage.project).features)
                let client = try RawClient(port: port)
                // The first look at the catalog may still be under way.
                var ready = try await client.ask("GET", "/readyz")
                for _ in 0..<1_000 where ready.status != 200 { ready = try await client.ask("GET", "/readyz") }
                #expect(ready.status == 200, "\(ready)")
                #expect(!expected.rows.isEmpty)
                for (entity, values) in expected.rows where !expected.bad.contains(entity) {
                    let answer = try await client.ask(
                        "POST", "/v1/lookup",
                        "{\"features\":[\"column:balance\",\"column:stamp\"],\"entities\":[{\"id\":\(entity)}]}")
                    guard case .int64(let balance) = values[1], case .int64(let stamp) = values[3] else { continue }
                    #expect(answer.body.contains("{\"values\":[\(balance),\(stamp)]}"), "\(entity): \(answer)")
                }
                daemon.terminate()
                let ending = await daemon.ending(within: .seconds(20))
                #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
                #expect(ending.output.contains("tidemark serves bank on http://127.0.0.1:\(port)\n"))
            }
        }
    }

    @Test func anAddressThatIsTakenIsSaid() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage in
                let (daemon, port) = try await Self.serve(stage)
                let second = try stage.start(["serve", "--http", "127.0.0.1:\(port)"])
                let ending = await second.ending(within: .seconds(30))
                #expect(ending.code == 1 && ending.errors.contains("is taken by another process"), "\(ending.story)")
                let third = try stage.start(["serve", "--http", "here"])
                let wrong = await third.ending(within: .seconds(30))
                #expect(wrong.code == 2 && wrong.errors.contains("HOST:PORT"), "\(wrong.story)")
                daemon.terminate()
                #expect(await daemon.ending(within: .seconds(20)).code == 0)
            }
        }
    }

    @Test func certificatesAndTokensThatCannotBeUsedAreNamedAndNewOnesAreTakenWhileItRuns() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage in
                let config = stage.workdir.file("tidemark.yaml")
                let text = try String(contentsOfFile: config, encoding: .utf8)
                let hash = String(repeating: "ab", count: 32)
                func serve(_ section: String) throws {
                    try (text + "\nserve: {unready: 0s, \(section)}\n").write(
                        toFile: config, atomically: true, encoding: .utf8)
                }
                for (section, words) in [
                    ("tls: {certificate: no.pem, key: env:NO_SUCH_KEY}", "no.pem: the certificate of serve.tls"),
                    ("tokens: [{name: web, sha256: env:NO_SUCH_HASH, scopes: [read]}]", "NO_SUCH_HASH"),
                    ("jwt: {keys: no.json, issuer: a, audience: b}", "no.json: the file of serve.jwt.keys"),
                ] {
                    try serve(section)
                    let ending = try await stage.start(["serve", "--http", "127.0.0.1:0"]).ending(within: .seconds(30))
                    #expect(ending.code == 2 && ending.errors.contains(words), "\(ending.story)")
                }
                try serve("tokens: [{name: web, sha256: \"\(hash)\", scopes: [read]}]")
                let (daemon, port) = try await Self.serve(stage)
                let client = try RawClient(port: port)
                let body = "{\"features\":[\"a:b\"],\"entities\":[]}"
                #expect(try await client.ask("POST", "/v1/lookup", body).status == 401)
                // A file that isn't there refuses the whole file, and the tokens stay.
                try serve("tokens: [], jwt: {keys: no.json, issuer: a, audience: b}")
                daemon.signal(SIGHUP)
                #expect(await daemon.hasSaid("the config file is not taken"))
                #expect(try await RawClient(port: port).ask("POST", "/v1/lookup", body).status == 401)
                // The last token is taken back: that opens nothing.
                try serve("tokens: []")
                daemon.signal(SIGHUP)
                #expect(await daemon.hasSaid("another config is in force"))
                #expect(try await RawClient(port: port).ask("POST", "/v1/lookup", body).status == 401)
                try serve("timeout: 60ms")
                daemon.signal(SIGHUP)
                #expect(await daemon.hasSaid("everybody may do everything from now on"))
                #expect(try await RawClient(port: port).ask("POST", "/v1/lookup", body).status != 401)
                #expect(!daemon.errorText.contains(hash))
                daemon.terminate()
                #expect(await daemon.ending(within: .seconds(20)).code == 0)
            }
        }
    }

    @Test func tokensAreForTheProjectThatIsServed() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage async throws in
                let config = stage.workdir.file("tidemark.yaml")
                let text = try String(contentsOfFile: config, encoding: .utf8)
                let names = [Stage.project, "rec", "other"]
                let list = names.map {
                    "{name: \($0), sha256: \(AdminToken.sha256("token-of-\($0)")), scopes: [read], projects: [\($0)]}"
                }
                func write(_ project: String, _ feast: String = "") throws {
                    let named = text.replacing("project: \(Stage.project)\n", with: "project: \(project)\n")
                    try (named + "\nserve: {unready: 0s, tokens: [\(list.joined(separator: ", "))]\(feast)}\n").write(
                        toFile: config, atomically: true, encoding: .utf8)
                }
                func admitted(_ port: Int) async throws -> [String] {
                    var admitted: [String] = []
                    for name in names {
                        let answer = try await RawClient(port: port).ask(
                            "POST", "/v1/lookup", "{\"features\":[\"a:b\"],\"entities\":[]}",
                            headers: ["Authorization: Bearer token-of-\(name)"])
                        if ![401, 403].contains(answer.status) { admitted.append(name) }
                    }
                    return admitted
                }
                try write(Stage.project)
                let (daemon, port) = try await Self.serve(stage)
                #expect(try await admitted(port) == [Stage.project])
                // It serves what it served, so it is for the same tokens.
                try write("other")
                daemon.signal(SIGHUP)
                #expect(await daemon.hasSaid("some of the config counts from the next start only"))
                #expect(try await admitted(port) == [Stage.project])
                daemon.terminate()
                #expect(await daemon.ending(within: .seconds(20)).code == 0)

                let registry = Feast_Core_Registry.with {
                    $0.entities = [.with { ($0.spec.name, $0.spec.joinKey, $0.spec.project) = ("a", "a_id", "rec") }]
                    $0.featureViews = [
                        .with {
                            ($0.spec.name, $0.spec.project, $0.spec.entities) = ("a", "rec", ["a"])
                            $0.spec.features = [.with { ($0.name, $0.valueType) = ("b", .int64) }]
                        }
                    ]
                }
                let bytes: Data = try registry.serializedBytes()
                try bytes.write(to: URL(fileURLWithPath: stage.workdir.file("registry.db")))
                try write(
                    Stage.project, ", feast: {registry: registry.db, redis: \"\(stage.redis.url)\", project: rec}")
                let (feast, feastPort) = try await Self.serve(stage)
                #expect(try await admitted(feastPort) == ["rec"])
                feast.terminate()
                #expect(await feast.ending(within: .seconds(20)).code == 0)
            }
        }
    }

    @Test func doctorLooksAtCertificatesAndTheDaemonTakesARenewedOne() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage async throws in
                let bank = BankView(following: .column)
                try await stage.source.commit(BankModel(.column, seed: 3).schema(stage.source))
                try stage.define(bank.definitions)
                let config = stage.workdir.file("tidemark.yaml")
                let authority = try TestAuthority("a", in: stage.workdir.path)
                let (short, long) = (try authority.issue("short", days: 3), try authority.issue("long", days: 90))
                func put(_ identity: TestAuthority.Identity) throws {
                    for (from, to) in [(identity.certificate, "server.pem"), (identity.key, "server.key")] {
                        let bytes = try Data(contentsOf: URL(fileURLWithPath: from))
                        try bytes.write(to: URL(fileURLWithPath: stage.workdir.file(to)), options: .atomic)
                    }
                }
                let text = try String(contentsOfFile: config, encoding: .utf8)
                try (text + "\nserve: {unready: 0s, tls: {certificate: server.pem, key: \"file:server.key\"}}\n").write(
                    toFile: config, atomically: true, encoding: .utf8)
                #expect(try await stage.run("doctor").output.contains("BAD   serve  secrets: "))
                try put(short)
                let early = try await stage.run("doctor").output
                #expect(early.contains("look  serve.tls  certificate: server.pem ends at "), "\(early)")
                let (daemon, _) = try await Self.serve(stage)
                #expect(await daemon.hasSaid("a certificate is to be renewed"))
                try put(long)
                daemon.signal(SIGHUP)
                #expect(await daemon.hasSaid("files that the config names are in force as they are now"))
                #expect(
                    try await stage.run("doctor").output.contains(
                        "ok    serve.tls  certificate: server.pem counts until "))
                daemon.terminate()
                let ending = await daemon.ending(within: .seconds(20))
                #expect(ending.code == 0 && ending.output.contains(" on https://127.0.0.1:"), "\(ending.story)")
                #expect(!ending.errors.contains("PRIVATE KEY"))
            }
        }
    }
}
