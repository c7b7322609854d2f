import FeatureModel
import HTTPTypes
import Hummingbird
import Ranking

/// The models of the daemon, for the admin listener.
struct AdminModels: Sendable {
    let registry: ModelRegistry

    /// `GET /admin/v1/models`.
    func list() async -> DocumentValue {
        ["models": .list(await registry.list().map(Self.document))]
    }

    /// `POST /v2/repository/index`: the names that Triton and MLServer gave it.
    func index() async -> DocumentValue {
        .list(
            await registry.list().map { status in
                [
                    "name": .text(status.name), "version": .text(status.live?.version ?? ""),
                    "state": .text(status.live == nil ? "UNAVAILABLE" : "READY"), "reason": .text(status.problem ?? ""),
                ]
            })
    }

    /// Loads a version, the folder's current one where it is `nil`.
    func reload(_ name: String, version: String?) async throws -> AdminChange {
        try await change(name) { () async throws(RankerError) in try await registry.reload(name, version: version) }
    }

    /// Goes back to the version before; a request that comes again goes no further back.
    func rollback(_ request: AdminChangeRequest) async throws -> AdminChange {
        let name = try request.context.name("name")
        let live = registry.status(name).live?.version
        let aim = try await request.aim {
            do throws(RankerError) {
                return AdminAim(before: live, after: try await registry.rollbackTarget(name))
            } catch {
                throw Self.problem(error, live: live)
            }
        }
        return try await change(name) { () async throws(RankerError) in
            try await registry.rollback(name, to: aim.after, from: aim.before)
        }
    }

    private func change(
        _ name: String, _ work: () async throws(RankerError) -> ModelStatus
    ) async throws -> AdminChange {
        let before = registry.status(name).live?.version
        do throws(RankerError) {
            let after = try await work()
            return AdminChange(
                before: .optional(before), after: .optional(after.live?.version), answer: Self.document(after))
        } catch {
            throw Self.problem(error, live: before)
        }
    }

    private static func problem(_ error: RankerError, live: String?) -> AdminProblem {
        let stays = live.map { "; version \($0) stays live" } ?? "; nothing is live"
        switch error.code {
        case .notFound: return AdminProblem(.notFound, "Not found", "\(error)\(stays)")
        case .overloaded, .unavailable, .deadlineExceeded:
            var problem = AdminProblem(.serviceUnavailable, "Busy", "\(error)\(stays)")
            problem.headers[.retryAfter] = "1"
            return problem
        case .mismatch, .corrupt, .tooLarge, .failed:
            return AdminProblem(.unprocessableContent, "Model not taken", "\(error)\(stays)")
        }
    }

    private static func document(_ status: ModelStatus) -> DocumentValue {
        [
            "name": .text(status.name), "kind": .text(status.kind), "live": version(status.live),
            "previous": version(status.previous), "versions": .list(status.versions.map(DocumentValue.text)),
            "problem": .optional(status.problem), "loads": .integer(Int64(status.loads)),
            "refusals": .integer(Int64(status.refusals)), "rollbacks": .integer(Int64(status.rollbacks)),
            "open_scores": .integer(Int64(status.openScores)),
        ]
    }

    private static func version(_ version: ModelStatus.Version?) -> DocumentValue {
        guard let version else { return .null }
        return [
            "version": .text(version.version), "sha256": .text(version.sha256), "bytes": .integer(Int64(version.bytes)),
            "columns": .list(version.columns.map(DocumentValue.text)),
            "metrics": .mapping(version.metrics.mapValues(DocumentValue.number)), "loaded_at": .time(version.loadedAt),
        ]
    }
}
