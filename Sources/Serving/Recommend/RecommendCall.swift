import NIOCore
import OnlineStore
import Recommend
import Resilience
import Telemetry

/// The recommendation that a connection has under way: from the body to the answer. Of one connection, on its loop; used again for
/// each request, since a connection has one at a time.
final class RecommendCall: LaneCall {
    private let room: LoopRoom
    private unowned let handler: FastLaneHandler
    private var arrivedAt = NIODeadline.now()
    private var timeoutMilliseconds: Int64?
    private var body = ByteBuffer()
    private var isUnderWay = false
    private var permit: ConcurrencyLimiter.Permit?
    /// Counts requests, so that the answer to one that was given up is known as such.
    private var serial: UInt64 = 0

    init(room: LoopRoom, handler: FastLaneHandler) {
        self.room = room
        self.handler = handler
    }

    func begin(arrivedAt: NIODeadline, timeoutMilliseconds: Int64?) -> RecommendCall {
        self.arrivedAt = arrivedAt
        self.timeoutMilliseconds = timeoutMilliseconds
        isUnderWay = true
        room.serving.metrics.inFlight.add(1)
        return self
    }

    func append(_ bytes: ByteBuffer, expecting: Int?) { body.append(bytes, expecting: expecting) }

    func run() {
        serial &+= 1
        switch room.serving.recommending.acquire(at: .now()) {
        case .refused(let seconds):
            let refused = RecommendIntake.Overloaded(retryAfter: seconds)
            answer(ErrorBody.problem(.overloaded, "\(refused)"), retryAfterSeconds: refused.retryAfter)
        case .admitted(let permit):
            self.permit = permit
            do {
                start(try RecommendParser.parse(body, limits: room.limits))
            } catch {
                answer(ErrorBody.problem(error))
            }
        }
    }

    private func start(_ parsed: RecommendRequest) {
        guard let intake = room.recommendations else {
            return answer(ErrorBody.problem(.unavailable, "there are no pipelines yet"), retryAfterSeconds: 1)
        }
        var request = parsed
        request.requestID = handler.requestID
        request.span = handler.marks.trace.flatMap { trace in
            room.spans.begin(
                SpanName.recommend, .internal, parent: trace.context, isRoot: false, at: MonotonicTime.now())
        }
        let asked = timeoutMilliseconds.map { Duration.milliseconds($0) }
        let start = ContinuousClock.now - Duration(NIODeadline.now() - arrivedAt)
        let (loop, serial, wanted, runs) = (room.eventLoop, serial, request, room.serving.runs)
        let bound = NIOLoopBound(self, eventLoop: loop)
        runs.begin()
        // Not cancelled when the client goes: others may wait for the same run, and it ends by its deadline.
        let work: @Sendable () async -> Void = {
            let outcome: Outcome
            do throws(RecommendError) {
                outcome = .success(try await intake.answer(wanted, from: start, within: asked))
            } catch {
                outcome = .failure(error)
            }
            if loop.inEventLoop {
                bound.value.finish(outcome, serial)
            } else {
                loop.execute { bound.value.finish(outcome, serial) }
            }
            runs.end()
        }
        Task(executorPreference: intake.isBrief(request) ? room.executor : nil, operation: work)
    }

    private typealias Outcome = Result<RecommendAnswer, RecommendError>

    private func finish(_ outcome: Outcome, _ serial: UInt64) {
        guard serial == self.serial, permit != nil else { return }
        switch outcome {
        case .failure(let error):
            answer(ErrorBody.problem(error), retryAfterSeconds: error.code == .unavailable ? 1 : nil)
        case .success(let found):
            var output = JSONBytes()
            found.write(requestID: handler.requestID, into: &output)
            var buffer = room.takeBuffer()
            AnswerHead.begin(&buffer)
            buffer.writeBytes(output.bytes)
            ended(200, found.degraded.isEmpty ? .success : .ignored)
            handler.answer(200, .json, &buffer)
            room.giveBack(buffer)
        }
    }

    private func answer(_ error: ErrorAnswer, retryAfterSeconds: Int? = nil) {
        var buffer = room.takeBuffer()
        AnswerHead.begin(&buffer)
        buffer.writeImmutableBuffer(error.body)
        ended(error.status, .ignored)
        handler.answer(error.status, .problem, retryAfterSeconds: retryAfterSeconds, &buffer)
        room.giveBack(buffer)
    }

    private func ended(_ status: Int, _ outcome: ConcurrencyLimiter.Outcome) {
        let now = NIODeadline.now()
        body = ByteBuffer()
        handler.marks.note(
            handler.label, status, after: now - arrivedAt, requestID: handler.requestID, in: handler.marks.named, room)
        leave(outcome, at: now)
    }

    private func leave(_ outcome: ConcurrencyLimiter.Outcome, at now: NIODeadline) {
        guard isUnderWay else { return }
        isUnderWay = false
        room.serving.metrics.inFlight.add(-1)
        if let permit { room.serving.recommending.finished(permit, outcome, at: now) }
        permit = nil
    }

    func abandon() {
        serial &+= 1
        body = ByteBuffer()
        leave(.ignored, at: .now())
    }
}
