import FeatureModel
import Recall
import Recommend
import Serving
import Testing
import TidemarkTesting

/// Recommendations over the wire, on the loop that reads them.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct RecommendRouteTests {
    /// Items of a user are those of the word in the user's row.
    private static let config = """
        project: shop
        online_store: {url: "memory:"}
        sources: {shop: {url: "csv:a"}}
        recall: {lists: {words: {kind: popularity, from: shop, query: SELECT 1, item: item, time: ts, segment: word}}}
        pipelines:
          home:
            user: user
            item: item
            k: 3
            timeout: 4s
            recall: {words: {list: words, segment: "activity:activity_word"}}
            fallback: words
        """

    /// Knows one item of each segment, and others of none.
    private struct WordList: ItemList {
        let longestRow = 4

        func top(segments: [String], limit: Int) -> [ScoredItem] {
            let items = segments.isEmpty ? ["a", "b", "c", "d"] : segments.map { "of \($0)" }
            return items.enumerated().map { ScoredItem(id: .text($1), score: 1 / Float($0 + 1)) }
        }

        func neighbours(of seeds: [EntityKeyValue], limit: Int, excluding: [EntityKeyValue]) -> [ScoredItem] { [] }
    }

    private static func options() throws -> DaemonStage.Options {
        var options = DaemonStage.Options()
        options.pipelines = try Config.parse(file: "t.yaml", text: Array(config.utf8)).pipelines
        options.list = WordList()
        return options
    }

    private static func recommend(_ user: Int, headers: [String] = []) -> String {
        RawClient.request(
            "POST", "/v1/recommend", "{\"pipeline\":\"home\",\"entity\":{\"user_id\":\(user)}}", headers: headers)
    }

    /// The items of an answer.
    private static func items(_ answer: RawAnswer) throws -> [String] {
        let items = try #require(try answer.json()["items"] as? [[String: Any]], "\(answer)")
        return try items.map { try #require($0["id"] as? String) }
    }

    private static func word(_ user: Int) throws -> String {
        guard case .string(let word)? = DaemonStage.values(0, user)?[2] else {
            throw ClientError("the user has no row")
        }
        return word
    }

    @Test func pipelinedRequestsOfAllKindsAreAnsweredInOrder() async throws {
        try await DaemonStage.with(Self.options()) { stage in
            let client = try stage.connect()
            let users = (0..<400).map { $0 % DaemonStage.users }.filter { DaemonStage.values(0, $0) != nil }
            var text = ""
            for (number, user) in users.enumerated() {
                let id = ["x-request-id: n\(number)"]
                switch number % 4 {
                case 0, 1: text += Self.recommend(user, headers: id)
                case 2: text += ConnectionTests.lookup(user, headers: id)
                default: text += RawClient.request("GET", "/livez", headers: id)
                }
            }
            async let sent: Void = client.send(text)
            for (number, user) in users.enumerated() {
                let answer = try await client.receive()
                #expect(answer.status == 200 && answer.headers["x-request-id"] == "n\(number)", "\(answer)")
                switch number % 4 {
                case 0, 1:
                    #expect(try Self.items(answer) == ["of \(Self.word(user))"])
                    #expect(try answer.json()["request_id"] as? String == "n\(number)")
                case 2: #expect(answer.body.contains("{\"values\":[\(ConnectionTests.count(user))]"), "\(answer)")
                default: #expect(answer.body == "ok\n")
                }
            }
            try await sent
            #expect(stage.serving.recommending.status.inFlight == 0)
        }
    }

    @Test func aSilentStoreIsWaitedForUntilTheDeadlineAndNotLonger() async throws {
        var options = try Self.options()
        options.usesProxy = true
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            try await client.send(Self.recommend(1))
            #expect(try await Self.items(client.receive()) == ["of \(Self.word(1))"])
            try await #require(stage.proxy).set(.silent)
            try await client.send(Self.recommend(1, headers: ["X-Request-Timeout-Ms: 200"]))
            let answer = try await client.receive()
            let body = try answer.json()
            #expect(answer.status == 200 && body["rung"] as? String == "last_good", "\(answer)")
            let reason = (body["degraded"] as? [String: Any])?["user"] as? String
            // A machine that is busy enough leaves no time to ask.
            #expect(reason == "late" || reason == "no_time", "\(answer)")
            // Of another user nothing is known.
            try await client.send(Self.recommend(2, headers: ["X-Request-Timeout-Ms: 200"]))
            #expect(try await Self.items(client.receive()) == ["a", "b", "c"])
        }
    }

    @Test func clientsThatLeaveTakeNoRoomAndTheDaemonEndsBehindTheirRuns() async throws {
        var options = try Self.options()
        options.usesProxy = true
        options.settings.drain = .milliseconds(200)
        try await DaemonStage.with(options) { stage in
            try await #require(stage.proxy).set(.silent)
            var met = 0
            for number in 0..<40 {
                let client = try stage.connect()
                try await client.send(Self.recommend(number, headers: ["X-Request-Timeout-Ms: 2000"]))
                // Once the breaker is open a run may be over before it is seen.
                for _ in 0..<100_000 where stage.serving.recommending.status.inFlight == 0 { await Task.yield() }
                met += stage.serving.recommending.status.inFlight
                client.close(resetting: number.isMultiple(of: 2))
                while stage.serving.recommending.status.inFlight > 0 { await Task.yield() }
            }
            #expect(met > 0)
            // The runs of those that left are still under way when the daemon ends, on loops that end behind them.
        }
    }
}
