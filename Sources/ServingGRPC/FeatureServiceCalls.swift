import GRPCCore
import OnlineStore
import ServingProtos

/// `tidemark.v1.FeatureService`.
struct FeatureServiceCalls: Tidemark_V1_FeatureService.StreamingServiceProtocol {
    let calls: CallGuard
    let lookup: GRPCLookup

    func lookup(
        request: StreamingServerRequest<Tidemark_V1_LookupRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Tidemark_V1_LookupResponse> {
        try await calls.unary(request, context) { message, time in
            let plan = try lookup.plan(try Self.selection(message))
            let entities = try EntityColumns(plan.plan.keyColumns, message.keys)
            let answer = try await lookup.answer(plan, entities, time, route: context.descriptor.fullyQualifiedMethod)
            return Tidemark_V1_LookupResponse(answer, ages: message.ages)
        }
    }

    private static func selection(_ message: Tidemark_V1_LookupRequest) throws -> GRPCPlans.Selection {
        guard !message.service.isEmpty else { return .features(message.features) }
        guard message.features.isEmpty else { throw RPCError.invalid("features and a service are asked for") }
        return .service(message.service)
    }
}
