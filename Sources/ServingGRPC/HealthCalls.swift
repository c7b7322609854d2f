import GRPCCore
import Serving
import ServingProtos
import SwiftProtobuf
import Synchronization

/// `grpc.health.v1.Health`: every service here is as ready as the daemon. Never limited by what lookups do.
final class HealthCalls: Grpc_Health_V1_Health.SimpleServiceProtocol {
    private let serving: ServingContext
    private let settings: GRPCSettings
    private let services: Set<String>
    private let watches = Atomic<Int>(0)

    /// `services` are those that one may ask for by name.
    init(_ serving: ServingContext, _ settings: GRPCSettings, services: [String]) {
        self.serving = serving
        self.settings = settings
        self.services = Set(services)
    }

    func check(
        request: Grpc_Health_V1_HealthCheckRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard isKnown(request.service) else {
            throw RPCError(code: .notFound, message: "there is no such service")
        }
        return .with { $0.status = status }
    }

    func watch(
        request: Grpc_Health_V1_HealthCheckRequest, response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        guard watches.add(1, ordering: .relaxed).newValue <= settings.healthWatches else {
            watches.subtract(1, ordering: .relaxed)
            throw RPCError.tooLarge("more than \(settings.healthWatches) watches are open")
        }
        defer { watches.subtract(1, ordering: .relaxed) }
        var told: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        while !context.cancellation.isCancelled {
            let status: Grpc_Health_V1_HealthCheckResponse.ServingStatus =
                isKnown(request.service) ? self.status : .serviceUnknown
            if status != told {
                try await response.write(.with { $0.status = status })
                told = status
            }
            // A daemon that drains ends what is open; its last word was NOT_SERVING.
            guard !serving.isDraining else {
                throw RPCError(code: .unavailable, message: "the daemon is on its way to its end")
            }
            try await Task.sleep(for: settings.healthInterval)
        }
    }

    private func isKnown(_ service: String) -> Bool { service.isEmpty || services.contains(service) }

    private var status: Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        serving.readiness.isReady ? .serving : .notServing
    }
}
