import HTTPTypes
import Hummingbird
import NIOCore
import OnlineStore
package import Recommend
import Telemetry

/// `POST /v1/recommend`.
package struct RecommendRoutes: Sendable {
    private let intake: RecommendIntake
    private let spans: SpanBuffer

    package init(_ serving: ServingContext, _ recommender: Recommender) {
        intake = RecommendIntake(serving, recommender)
        spans = serving.tracer.makeBuffer()
    }

    /// For the router.
    package var routes: [ServingRoute] {
        [ServingRoute(.post, "/v1/recommend") { try await respond($0) }]
    }

    private func respond(_ request: Request) async throws -> Response {
        let start = ContinuousClock.now
        do {
            return try await intake.admitted { try await answer(request, start) }
        } catch let refused as RecommendIntake.Overloaded {
            return ErrorBody.problem(.overloaded, "\(refused)").response([.retryAfter: "\(refused.retryAfter)"])
        } catch let error as WireError {
            return ErrorBody.problem(error).response()
        } catch let error as RecommendError {
            return Self.response(error)
        }
    }

    /// The answer, and whether all did their part.
    private func answer(
        _ request: Request, _ start: ContinuousClock.Instant
    ) async throws -> (Response, isWhole: Bool) {
        let limits = intake.limits
        let asked = try RequestHeaders.timeout(request)
        var wanted = try RecommendParser.parse(try await request.body(within: limits), limits: limits)
        wanted.requestID = HTTPField.Name(RequestHeaders.requestID).flatMap { request.headers[$0] } ?? ""
        wanted.span = span(request)
        let answer = try await intake.answer(wanted, from: start, within: asked)
        var output = JSONBytes()
        answer.write(requestID: wanted.requestID, into: &output)
        let response = Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: output.bytes)))
        return (response, answer.degraded.isEmpty)
    }

    /// Within the request's own span, which the router's requests name in `traceparent`.
    private func span(_ request: Request) -> Span? {
        let header = HTTPField.Name(RequestHeaders.traceparent).flatMap { request.headers[$0] }
        guard let parent = header.flatMap({ TraceContext(traceparent: $0) }) else { return nil }
        return spans.begin(
            SpanName.recommend, .internal, parent: parent, isRoot: false, at: MonotonicTime.now())
    }

    private static func response(_ error: RecommendError) -> Response {
        let problem: Problem =
            switch error.code {
            case .unknownPipeline: .notFound
            case .wrongRequest: .invalidRequest
            case .tooLarge: .limitExceeded
            case .unavailable: .unavailable
            }
        let path = error.path.map { step in Int(step).map { WireError.Step.element($0) } ?? .field(step) }
        let pointer = WireError(.shape(.missing), "", path: path).pointer
        let body = ErrorBody.problem(
            status: problem.status, type: problem.type, title: problem.title, detail: error.description,
            errors: path.isEmpty ? [] : [(pointer, error.description)])
        let answer = ErrorAnswer(status: problem.status, contentType: ErrorBody.problemType, body: body)
        return answer.response(error.code == .unavailable ? [.retryAfter: "1"] : [:])
    }
}
