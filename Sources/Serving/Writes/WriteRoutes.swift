import FeatureModel
import HTTPTypes
import Hummingbird
package import NIOCore
import OnlineStore

/// Feast's routes that write: `/push`, `/write-to-online-store`, `/materialize` and `/materialize-incremental`.
package struct WriteRoutes: Sendable {
    /// An answer before it is an HTTP response.
    package struct Answer: Sendable {
        package let status: Int
        package let body: ByteBuffer
        /// For `Retry-After`.
        package var retryAfterSeconds: Int?
        /// What was written; `nil` for an error.
        package var counts: WriteCounts?
    }

    private let writer: FeatureWriter
    private let project: String
    private let settings: @Sendable () -> ServerSettings

    private var limits: WireLimits { WireLimits(settings()) }

    /// `settings` gives those in force.
    package init(_ writer: FeatureWriter, project: String, settings: @escaping @Sendable () -> ServerSettings) {
        self.writer = writer
        self.project = project
        self.settings = settings
    }

    /// The routes for the router. `observe` is told what each write did.
    package func routes(observe: @escaping @Sendable (WriteCounts) -> Void = { _ in }) -> [ServingRoute] {
        [
            ServingRoute(.post, "/push") { try await respond($0, observe) { await push($0, deadline: $1) } },
            ServingRoute(.post, "/write-to-online-store") {
                try await respond($0, observe) { await write($0, deadline: $1) }
            },
            ServingRoute(.post, "/materialize") {
                try await respond($0, observe) { body, _ in await materialize(body) }
            },
            ServingRoute(.post, "/materialize-incremental") {
                try await respond($0, observe) { body, _ in await materialize(body) }
            },
        ]
    }

    /// The same routes where nothing can be written: each answers 403 with the reason. Not a 5xx, which Feast's SDK would send
    /// three times more.
    package static func refusing(_ reason: String) -> [ServingRoute] {
        ["/push", "/write-to-online-store", "/materialize", "/materialize-incremental"].map { path in
            ServingRoute(.post, path) { _ in ErrorBody.feast(FeastFault(status: 403, message: reason)).response() }
        }
    }

    private func respond(
        _ request: Request, _ observe: @Sendable (WriteCounts) -> Void,
        _ answer: (ByteBuffer, ContinuousClock.Instant) async -> Answer
    ) async throws -> Response {
        let start = ContinuousClock.now
        let settings = settings()
        let limits = WireLimits(settings)
        let answered: Answer
        do {
            let asked = try RequestHeaders.timeout(request)
            let body = try await request.body(within: limits)
            answered = await answer(body, start + Self.budget(asked, settings))
        } catch let error as WireError {
            answered = Self.answer(ErrorBody.feast(error, request: ByteBuffer()))
        }
        if let counts = answered.counts { observe(counts) }
        var headers: HTTPFields = [:]
        if answered.body.readableBytes > 0 { headers[.contentType] = ErrorBody.feastType }
        if let seconds = answered.retryAfterSeconds { headers[.retryAfter] = "\(seconds)" }
        return Response(
            status: .init(code: answered.status), headers: headers, body: ResponseBody(byteBuffer: answered.body))
    }

    /// A write reads what it replaces, and its caller waits for more than a lookup's does.
    private static func budget(_ asked: Duration?, _ settings: ServerSettings) -> Duration {
        min(asked ?? max(settings.timeout, .seconds(2)), max(settings.maximumTimeout, .seconds(2)))
    }

    // MARK: Routes

    /// `/push`: a view's name is the name of its push source. 200 without a body.
    package func push(_ body: ByteBuffer, deadline: ContinuousClock.Instant) async -> Answer {
        let request: WriteRequestBody
        do throws(WireError) {
            request = try WriteParser.push(body, limits: limits)
        } catch {
            return Self.answer(ErrorBody.feast(error, request: body))
        }
        switch request.destination {
        case "online": break
        case "offline", "online_and_offline":
            return Self.answer(
                FeastFault(
                    status: 400,
                    message: "a push to \(request.destination) is not done here: the source of the view is the offline "
                        + "store; write there, and push to online"))
        default:
            return Self.answer(
                FeastFault(
                    status: 400,
                    message: "\(request.destination) is not a supported push format. Please specify one of these "
                        + "['online', 'offline', 'online_and_offline']."))
        }
        return await write(request, of: body, deadline, success: "") { name, known in
            .pushSourceNotFound(name, hint: known.isEmpty ? "" : String(Nearest.hint(name, among: known).dropFirst()))
        }
    }

    /// `/write-to-online-store`: 200 with the body `null`.
    package func write(_ body: ByteBuffer, deadline: ContinuousClock.Instant) async -> Answer {
        let request: WriteRequestBody
        do throws(WireError) {
            request = try WriteParser.write(body, limits: limits)
        } catch {
            return Self.answer(ErrorBody.feast(error, request: body))
        }
        return await write(request, of: body, deadline, success: "null", unknown: viewNotFound)
    }

    /// `/materialize` and `/materialize-incremental`: asks the sync service to run views now, and doesn't wait for it. 202 with
    /// the views, as Feast answers when it is asked not to wait.
    package func materialize(_ body: ByteBuffer) async -> Answer {
        do throws(WireError) {
            let named = try WriteParser.views(body, limits: limits)
            do throws(WriteFault) {
                let views = try await writer.requestRuns(of: named, now: WallClock.microseconds)
                var output = JSONBytes()
                output.raw("{\"status\":\"accepted\",\"feature_views\":[")
                output.list(views) { $0.string($1) }
                output.raw("]}")
                return Answer(status: 202, body: ByteBuffer(bytes: output.bytes))
            } catch {
                return answer(error, body, viewNotFound)
            }
        } catch {
            return Self.answer(ErrorBody.feast(error, request: body))
        }
    }

    private func viewNotFound(_ name: String, _ known: [String]) -> FeastFault {
        .viewNotFound(name, project: project, hint: Nearest.hint(name, among: known))
    }

    private func write(
        _ request: WriteRequestBody, of body: ByteBuffer, _ deadline: ContinuousClock.Instant, success: String,
        unknown: (String, [String]) -> FeastFault
    ) async -> Answer {
        do throws(WriteFault) {
            let counts = try await writer.write(
                request, of: body, limits: limits, now: WallClock.microseconds, deadline: deadline)
            return Answer(status: 200, body: ByteBuffer(string: success), counts: counts)
        } catch {
            return answer(error, body, unknown)
        }
    }

    private func answer(
        _ fault: WriteFault, _ body: ByteBuffer, _ unknown: (String, [String]) -> FeastFault
    ) -> Answer {
        switch fault {
        case .noView(let name, let known): Self.answer(unknown(name, known))
        case .request(let error): Self.answer(ErrorBody.feast(error, request: body))
        case .refused(let text): Self.answer(FeastFault(status: 409, message: text))
        case .overloaded: Self.failure(.overloaded, "too many writes are under way", retryAfter: 1)
        case .deadlineExceeded:
            Self.failure(.deadlineExceeded, "the time was over before all rows were written; push them again")
        case .store(let error): Self.failure(error)
        }
    }

    // MARK: Answers

    private static func answer(_ answer: ErrorAnswer) -> Answer {
        Answer(status: answer.status, body: answer.body)
    }

    private static func answer(_ fault: FeastFault) -> Answer {
        answer(ErrorBody.feast(fault))
    }

    private static func failure(_ problem: Problem, _ detail: String, retryAfter: Int? = nil) -> Answer {
        var answer = answer(ErrorBody.feast(problem, detail))
        answer.retryAfterSeconds = retryAfter
        return answer
    }

    /// What a store says goes to the log of the sync, not to callers.
    private static func failure(_ error: StoreError) -> Answer {
        switch error.code {
        case .deadlineExceeded: failure(.deadlineExceeded, "the store did not answer in time; push the rows again")
        case .tooLarge: failure(.limitExceeded, "\(error.message)")
        default: failure(.unavailable, "\(error.message)", retryAfter: 1)
        }
    }
}
