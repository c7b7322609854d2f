import HTTPTypes
import Hummingbird
import NIOCore
import Resilience
import Telemetry

/// Health and metrics: never limited, and never waiting for the store.
struct HealthRoutes {
    let serving: ServingContext

    var routes: [ServingRoute] {
        [
            ServingRoute(.get, "/health") { _ in
                // Feast's word for it: a status and no body.
                Response(status: serving.readiness.isReady ? .ok : .serviceUnavailable)
            },
            ServingRoute(.get, "/livez") { _ in Self.text(.ok, "ok\n") },
            ServingRoute(.get, "/readyz") { request in
                let readiness = serving.readiness
                let isVerbose = request.uri.queryParameters["verbose"] != nil
                return Self.text(readiness.isReady ? .ok : .serviceUnavailable, readiness.text(verbose: isVerbose))
            },
            ServingRoute(.get, "/v2/health/live") { _ in Self.json(.ok, "{\"live\":true}") },
            ServingRoute(.get, "/v2/health/ready") { _ in
                let isReady = serving.readiness.isReady
                return Self.json(isReady ? .ok : .serviceUnavailable, "{\"ready\":\(isReady)}")
            },
            ServingRoute(.get, "/metrics") { request in
                let format = ExpositionFormat.preferred(accept: request.headers[.accept])
                return Response(
                    status: .ok, headers: [.contentType: format.contentType],
                    body: ResponseBody(byteBuffer: ByteBuffer(string: serving.metrics.registry.render(format))))
            },
            ServingRoute(.get, "/openapi.json") { _ in Self.json(.ok, OpenAPI.document) },
        ]
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    private static func json(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

/// Whether to send traffic here, and what is amiss though traffic may come.
package struct Readiness: Sendable, Hashable {
    /// One thing that was looked at.
    package struct Check: Sendable, Hashable {
        /// How well it stands.
        package enum Grade: Sendable, Hashable {
            case good
            /// Answers are degraded, and there is nobody better to send traffic to.
            case degraded
            case bad
        }

        package let name: String
        package let grade: Grade
        package let text: String
    }

    package let checks: [Check]

    /// Whether traffic may come.
    package var isReady: Bool { !checks.contains { $0.grade == .bad } }

    /// As Kubernetes words it.
    func text(verbose: Bool) -> String {
        let isDegraded = checks.contains { $0.grade == .degraded }
        let summary = isReady ? (isDegraded ? "degraded" : "ok") : "not ready"
        if isReady, !verbose { return "\(summary)\n" }
        let lines = checks.map { check in
            switch check.grade {
            case .good: "[+]\(check.name) ok"
            case .degraded: "[~]\(check.name) degraded: \(check.text)"
            case .bad: "[-]\(check.name) failed: \(check.text)"
            }
        }
        return (lines + [summary]).joined(separator: "\n") + "\n"
    }
}

extension ServingContext {
    /// What a look at this instant finds.
    package var readiness: Readiness {
        let isDrained = isDraining
        let status = catalog.status
        let hasCatalog = status.generation > 0
        let state = gate.state
        return Readiness(checks: [
            .init(name: "drain", grade: isDrained ? .bad : .good, text: "the daemon is on its way to its end"),
            .init(
                name: "catalog", grade: !hasCatalog ? .bad : status.problems.isEmpty ? .good : .degraded,
                text: hasCatalog
                    ? "the last good one is served: \(status.problems.joined(separator: "; "))"
                    : "no catalog was read yet: the store was not reachable, or nothing was applied to it"),
            .init(
                name: "store", grade: state == .closed ? .good : .degraded,
                text: "the breaker before the store is \(state.rawValue)"),
        ])
    }
}
