import FeatureModel
import Foundation
import Serving
import Testing
import TidemarkTesting

/// Lookups over both routes answer with the source's values.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct LookupRouteTests {
    private struct Draw {
        var features: [(view: Int, feature: Int)] = []
        var users: [Int] = []

        init(_ generator: inout SeededGenerator, distinct: Bool) {
            let all = DaemonStage.views.indices.flatMap { view in (0..<5).map { (view: view, feature: $0) } }
            features = Array(all.shuffled(using: &generator).prefix(1 + generator.below(all.count)))
            let count = generator.pick([0, 1, 1, 2, 10, 100])
            users = (0..<count).map { _ in generator.below(DaemonStage.users + 20) }
        }

        var list: String {
            let names = features.map { view, feature in
                let view = DaemonStage.views[view]
                return "\"\(view.name):\(view.features[feature].name)\""
            }
            return "[\(names.joined(separator: ","))]"
        }

        func value(_ user: Int, _ index: Int) -> (value: FeatureValue, status: String) {
            let (view, feature) = features[index]
            guard let values = DaemonStage.values(view, user) else { return (.null, "NOT_FOUND") }
            return values[feature] == .null ? (.null, "NULL_VALUE") : (values[feature], "PRESENT")
        }
    }

    @Test(arguments: [true, false]) func ourRouteAnswersWithTheSourcesValues(_ usesLane: Bool) async throws {
        var options = DaemonStage.Options()
        options.usesLane = usesLane
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            for seed in SeededGenerator.seeds(60) {
                var generator = SeededGenerator(seed: seed)
                let draw = Draw(&generator, distinct: false)
                let entities = draw.users.map { "{\"user_id\":\($0)}" }.joined(separator: ",")
                let answer = try await client.ask(
                    "POST", "/v1/lookup", "{\"features\":\(draw.list),\"entities\":[\(entities)]}")
                let rows = draw.users.map { user in
                    let found = draw.features.indices.map { draw.value(user, $0) }
                    let values = found.map(\.value.json).joined(separator: ",")
                    guard found.contains(where: { $0.status != "PRESENT" }) else { return "{\"values\":[\(values)]}" }
                    let statuses = found.map { "\"\($0.status)\"" }.joined(separator: ",")
                    return "{\"values\":[\(values)],\"statuses\":[\(statuses)]}"
                }
                let views = Set(draw.features.map { DaemonStage.views[$0.view].name }).sorted()
                let versions = views.map { "\"\($0)\":1" }.joined(separator: ",")
                let expected =
                    "{\"features\":\(draw.list),\"rows\":[\(rows.joined(separator: ","))],\"versions\":{\(versions)}}"
                #expect(answer.status == 200 && answer.body == expected, "TIDEMARK_SEED=\(seed) \(answer)")
            }
        }
    }

    @Test(arguments: [true, false]) func feastsRouteAnswersWithTheSourcesValues(_ usesLane: Bool) async throws {
        var options = DaemonStage.Options()
        options.usesLane = usesLane
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            for seed in SeededGenerator.seeds(60) {
                var generator = SeededGenerator(seed: seed)
                let draw = Draw(&generator, distinct: true)
                let users = draw.users.map(String.init).joined(separator: ",")
                let answer = try await client.ask(
                    "POST", "/get-online-features", "{\"features\":\(draw.list),\"entities\":{\"user_id\":[\(users)]}}")
                #expect(answer.status == 200, "TIDEMARK_SEED=\(seed) \(answer)")
                let results = try #require(try answer.json()["results"] as? [[String: Any]])
                #expect(results.count == draw.features.count + 1)
                for (index, result) in results.dropFirst().enumerated() {
                    let values = try #require(result["values"] as? [Any])
                    let statuses = try #require(result["statuses"] as? [String])
                    let expected = draw.users.map { draw.value($0, index) }
                    #expect(statuses == expected.map(\.status), "TIDEMARK_SEED=\(seed)")
                    for (value, wanted) in zip(values, expected) {
                        #expect(Self.isSame(value, wanted.value), "TIDEMARK_SEED=\(seed) \(value) \(wanted.value)")
                    }
                }
            }
        }
    }

    private static func isSame(_ json: Any, _ value: FeatureValue) -> Bool {
        switch value {
        case .null: json is NSNull
        case .bool(let flag): (json as? NSNumber)?.boolValue == flag
        case .int64(let number): (json as? NSNumber)?.int64Value == number
        case .float64(let number): (json as? NSNumber)?.doubleValue == number
        case .string(let text): json as? String == text
        default: false
        }
    }

    @Test func aServiceStandsForItsFeatures() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let ours = try await client.ask(
                "POST", "/v1/lookup", "{\"service\":\"all\",\"entities\":[{\"user_id\":5}]}")
            let features = try ours.json()["features"] as? [String]
            #expect(ours.status == 200 && features?.count == 15, "\(ours)")
            let feast = try await client.ask(
                "POST", "/get-online-features",
                "{\"feature_service\":\"all\",\"entities\":{\"user_id\":[5]},\"full_feature_names\":true}")
            #expect(feast.status == 200 && feast.body.contains("\"activity__activity_count\""), "\(feast)")
            let none = try await client.ask(
                "POST", "/get-online-features", "{\"feature_service\":\"al\",\"entities\":{\"user_id\":[5]}}")
            #expect(none.status == 404 && none.body.contains("FeatureServiceNotFoundException"), "\(none)")
        }
    }

    @Test func anotherVersionIsFollowedByEveryCache() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let body = "{\"features\":[\"profile:profile_count\"],\"entities\":[{\"user_id\":2}]}"
            let before = try await client.ask("POST", "/v1/lookup", body)
            #expect(before.body.contains("\"versions\":{\"profile\":1}"), "\(before)")
            try await CatalogFixture(store: stage.store).fill(DaemonStage.views[1])
            await stage.watcher.look()
            let after = try await client.ask("POST", "/v1/lookup", body)
            #expect(after.body.contains("NOT_FOUND") && after.body.contains("\"versions\":{\"profile\":2}"), "\(after)")
        }
    }

    @Test func whatCannotBeAskedForIsSaid() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let cases: [(path: String, body: String, status: Int, words: String)] = [
                ("/v1/lookup", "{", 400, "invalid-json"),
                ("/v1/lookup", "{\"features\":[\"activity:nope\"],\"entities\":[]}", 404, "not-found"),
                ("/v1/lookup", "{\"features\":[\"activty:x\"],\"entities\":[]}", 404, "activity"),
                ("/v1/lookup", "{\"features\":[\"activity:activity_flag\"],\"entities\":[{}]}", 400, "user_id"),
                ("/get-online-features", "{\"features\":[\"nope:x\"],\"entities\":{}}", 404, "FeatureViewNotFound"),
                ("/get-online-features", "[]", 422, "model_attributes_type"),
            ]
            for wrong in cases {
                let answer = try await client.ask("POST", wrong.path, wrong.body)
                #expect(answer.status == wrong.status && answer.body.contains(wrong.words), "\(wrong) \(answer)")
                #expect(answer.headers["x-request-id"] != nil)
            }
        }
    }
}
