import Events
import HTTPTypes
import Hummingbird
import NIOCore
import Recommend
import Synchronization

/// `POST /v1/events`.
package struct EventRoutes: Sendable {
    /// Bodies that are read at a time; more are refused, not queued.
    private static let concurrency = 64

    private let serving: ServingContext
    private let intake: EventIntake?
    private let underWay = UnderWay()

    private final class UnderWay: Sendable {
        let count = Atomic(0)
    }

    /// Without an intake every request is answered with 501.
    package init(_ serving: ServingContext, _ intake: EventIntake?) {
        self.serving = serving
        self.intake = intake
    }

    /// For the router.
    package var routes: [ServingRoute] {
        [ServingRoute(.post, "/v1/events") { try await respond($0) }]
    }

    private func respond(_ request: Request) async throws -> Response {
        guard let intake else {
            return ErrorBody.problem(.notImplemented, "this daemon takes no events: its config has no events section")
                .response()
        }
        let others = underWay.count.wrappingAdd(1, ordering: .relaxed).oldValue
        defer { underWay.count.wrappingSubtract(1, ordering: .relaxed) }
        guard others < Self.concurrency else {
            return ErrorBody.problem(.overloaded, "as many bodies are under way as may be").response([.retryAfter: "1"])
        }
        do {
            let limits = WireLimits(serving.liveSettings)
            let format = try EventFormat(request.headers)
            let body = try await request.body(within: limits)
            return try Self.answer(body, format, limits, intake)
        } catch let error as WireError {
            intake.isInvalid()
            return ErrorBody.problem(error).response()
        }
    }

    private static func answer(
        _ body: ByteBuffer, _ format: EventFormat, _ limits: WireLimits, _ intake: EventIntake
    ) throws(WireError) -> Response {
        let now = RecommendClock.real.wall()
        let events = try EventParser.parse(
            body, as: format, limits: limits, maximum: min(limits.entities, intake.maximum), now: now)
        switch intake.take(events, received: now) {
        case .accepted(let count, let duplicates):
            return Response(
                status: .accepted, headers: [.contentType: "application/json"],
                body: ResponseBody(
                    byteBuffer: ByteBuffer(string: "{\"accepted\":\(count),\"duplicates\":\(duplicates)}")))
        case .refused(.tooLarge):
            throw WireError(.limitExceeded, "the events are over \(intake.maximumBytes) bytes")
        case .refused(.full):
            return ErrorBody.problem(.overloaded, "there is no room for these events now; send them again")
                .response([.retryAfter: "1"])
        case .refused:
            return ErrorBody.problem(.unavailable, "events can't be stored now; send them again")
                .response([.retryAfter: "5"])
        }
    }
}
