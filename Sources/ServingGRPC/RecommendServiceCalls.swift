import GRPCCore
import Recommend
import Serving
import ServingProtos
import Telemetry

/// `tidemark.v1.RecommendService`.
struct RecommendServiceCalls: Tidemark_V1_RecommendService.StreamingServiceProtocol {
    let calls: CallGuard
    let intake: RecommendIntake

    func recommend(
        request: StreamingServerRequest<Tidemark_V1_RecommendRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Tidemark_V1_RecommendResponse> {
        try await calls.received(request, context) { message, time in
            do {
                return try await intake.admitted { try await answer(message, time) }
            } catch let refused as RecommendIntake.Overloaded {
                throw RPCError.overloaded("\(refused)", retryAfter: refused.retryAfter)
            } catch let error as WireError {
                throw RPCError(error)
            } catch let error as RecommendError {
                throw RPCError(error)
            }
        }
    }

    /// The answer, and whether all did their part.
    private func answer(
        _ message: Tidemark_V1_RecommendRequest, _ time: CallTime
    ) async throws -> (Tidemark_V1_RecommendResponse, isWhole: Bool) {
        var wanted = try RecommendRequest(message, limits: intake.limits)
        wanted.requestID = time.requestID
        wanted.span = time.span?.child(SpanName.recommend)
        let answer = try await intake.answer(wanted, from: time.start, within: time.asked)
        return (Tidemark_V1_RecommendResponse(answer, requestID: time.requestID), answer.degraded.isEmpty)
    }
}
