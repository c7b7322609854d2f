import FeatureModel
import Foundation
import Serving
import Testing

/// `/openapi.json` of the admin listener against the listener itself.
@Suite(.timeLimit(.minutes(2))) struct AdminDescriptionTests {
    @Test func everyDescribedRouteIsThereAndNoOtherMethodIs() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            let outsider = try await fixture.client.call("GET", "/openapi.json")
            #expect(outsider.status == 401)
            let answer = try await fixture.client.call("GET", "/openapi.json", token: fixture.token(.read))
            #expect(answer.status == 200)
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let described = paths.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } }
            #expect(described.count >= 20)
            #expect(described.sorted() == fixture.routes.sorted())
            for (pattern, methods) in paths {
                let path = pattern.replacingOccurrences(of: "{view}", with: "activity")
                    .replacingOccurrences(of: "{name}", with: "store")
                for method in methods.keys {
                    // What is asked for may be wrong, and no model is called `store`; that the route isn't there would be
                    // 404 or 405.
                    let found = try await fixture.client.call(
                        method.uppercased(), path, token: fixture.token(.admin), key: method == "get" ? nil : path,
                        body: "{}")
                    let isUnknownModel = path.contains("/models/") && found.body.contains("no such model")
                    #expect(
                        isUnknownModel || ![404, 405, 500].contains(found.status), "\(method) \(path): \(found.text)")
                }
                for method in ["DELETE", "TRACE"] {
                    let refused = try await fixture.client.call(method, path, token: fixture.token(.admin))
                    #expect(refused.status == 405, "\(method) \(path): \(refused.text)")
                    #expect(
                        refused.headers["allow"]
                            == methods.keys.map { $0.uppercased() }.sorted().joined(separator: ", "))
                }
            }
            for path in [
                "/admin/v1/nothing", "/admin/v1/versions/a/b", "/admin/v1/versions/a:nothing",
                "/admin/v1/breakers/:force",
            ] {
                let missing = try await fixture.client.call("DELETE", path, token: fixture.token(.admin))
                #expect(missing.status == 404, "\(path): \(missing.text)")
            }
        }
    }
}
