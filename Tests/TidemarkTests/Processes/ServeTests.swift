import FeatureModel
import Foundation
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
}
