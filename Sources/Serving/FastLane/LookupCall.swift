import FeatureModel
import NIOCore
import OnlineStore
import RedisClient
import Resilience
import Telemetry

/// The lookup that a connection has under way: from the body to the answer. Of one connection, on its loop; used again
/// for each request, since a connection has one at a time.
final class LookupCall: RedisLaneReceiver, LaneCall {
    /// What is asked of the store.
    private struct Question {
        let cached: CachedPlan
        let request: LookupRequestBody
        let entities: EntityColumns
        let keys: LookupKeys
    }

    /// A call of the store.
    private enum Reading {
        case none
        case lane(token: UInt64, Breaker.Permit)
        /// Through the store's own calls, in a task; whichever comes first, its answer or the timer, counts.
        case task(Task<Void, Never>, Scheduled<Void>, Breaker.Permit)
    }

    private let room: LoopRoom
    private unowned let handler: FastLaneHandler
    private(set) var route = LookupRoute.lookup
    private var arrivedAt = NIODeadline.now()
    private var waitedSince: NIODeadline?
    private var deadline = NIODeadline.now()
    private var body = ByteBuffer()
    private var question: Question?
    private var reading = Reading.none
    /// The right to be under way, from the complete body to the answer.
    private var permit: ConcurrencyLimiter.Permit?
    /// Its place in line while it waits for that right.
    private var ticket: UInt64?
    /// When the store was asked.
    private var askedAt = NIODeadline.now()
    private var rows = PackedRows(count: 0)
    /// Counts calls of the store, so that the answer to one that was given up is known as such.
    private var serial: UInt64 = 0

    init(room: LoopRoom, handler: FastLaneHandler) {
        self.room = room
        self.handler = handler
    }

    // MARK: The request

    /// `waitedSince` is when the connection began to be left unread, if the request may have come since.
    func begin(
        _ route: LookupRoute, arrivedAt: NIODeadline, waitedSince: NIODeadline?, timeoutMilliseconds: Int64?
    ) -> LookupCall {
        self.route = route
        self.arrivedAt = arrivedAt
        self.waitedSince = waitedSince
        let asked = timeoutMilliseconds.map { TimeAmount.milliseconds($0) } ?? room.settings.timeout
        deadline = arrivedAt + min(asked, room.settings.maximumTimeout)
        return self
    }

    func append(_ bytes: ByteBuffer, expecting: Int?) { body.append(bytes, expecting: expecting) }

    func run() {
        let now = NIODeadline.now()
        room.active += 1
        let patience = min(room.settings.patience, LoopSettings.patience(of: deadline - arrivedAt))
        let until = min(room.beginning(of: now, waitedSince) + patience, deadline)
        guard now < until else { return refuse(waited: true) }
        if let permit = room.permit(at: now) { return start(permit) }
        ticket = room.wait(self, bytes: body.readableBytes, until: until)
        guard ticket != nil else { return refuse(waited: false) }
        handler.marks.trace?.enter(SpanName.admit)
    }

    // Made once: what refuses costs the time of those that are answered.
    private static let noRoomWords = "as many lookups are under way as can be answered in time"
    private static let noRoom = ErrorBody.problem(.overloaded, noRoomWords)
    private static let noRoomOfFeast = ErrorBody.feast(.overloaded, noRoomWords)

    /// There was no room in time.
    func refuse(waited: Bool) {
        ticket = nil
        fail(
            route == .feast ? Self.noRoomOfFeast : Self.noRoom,
            retryAfterSeconds: room.serving.admission.refuse(waited: waited))
    }

    /// There is room.
    func start(_ permit: ConcurrencyLimiter.Permit) {
        ticket = nil
        self.permit = permit
        handler.marks.trace?.enter(SpanName.plan)
        do {
            let question = try ask()
            self.question = question
            if let trace = handler.marks.trace { describe(question, trace) }
            body = ByteBuffer()
            read(question)
        } catch let error as WireError {
            fail(route == .feast ? ErrorBody.feast(error, request: body) : ErrorBody.problem(error))
        } catch let error as LookupError {
            fail(error)
        } catch LookupFault.feast(let fault) {
            fail(ErrorBody.feast(fault))
        } catch LookupFault.noCatalog {
            fail(.unavailable, "there is no catalog to serve yet", retryAfterSeconds: 1)
        } catch {
            fail(.internalError, "the request could not be read")
        }
    }

    private func ask() throws -> Question {
        let request =
            switch route {
            case .lookup: try LookupParser.lookup(body, limits: room.limits)
            case .feast: try LookupParser.feast(body, limits: room.limits)
            }
        let cached = try room.plan(for: request, in: body, route: route)
        let reader = EntityReader(cached.keyColumns, limits: room.limits)
        let values = try route == .lookup ? reader.rows(body, request) : reader.columns(body, request)
        let entities = try EntityColumns(values)
        // Both are far below the root of what an Int holds, by their own limits.
        guard values.count * cached.plan.features.count <= room.settings.values else {
            throw LookupError(
                "\(values.count) entities × \(cached.plan.features.count) features are over the limit of "
                    + "\(room.settings.values) values", code: .tooLarge)
        }
        return Question(
            cached: cached, request: request, entities: entities, keys: try LookupKeys(cached.plan, entities))
    }

    private func describe(_ question: Question, _ trace: RequestTrace) {
        let plan = question.cached.plan
        trace.set(.entities, question.entities.count)
        trace.set(.features, plan.features.count)
        trace.setOfStage(.views, plan.views.count)
        trace.leave()
    }

    // MARK: The store

    private func read(_ question: Question) {
        rows = room.takeRows()
        rows.reset(count: question.keys.rowCount)
        serial &+= 1
        guard question.keys.rowCount > 0 else { return finish() }
        let now = NIODeadline.now()
        // The answer takes time to be written, too.
        let latest = deadline - room.settings.reserve
        guard now < latest else { return fail(question, "the time of the request was over before the store was asked") }
        guard let permit = room.serving.gate.admit() else {
            return fail(question, "the store fails, and is left alone for a while")
        }
        guard let lane = room.lane else {
            handler.marks.trace?.enter(room.serving.storeSpan, commands: 1, rows: question.keys.rowCount)
            return readInTask(question, permit, until: latest)
        }
        var request = room.takeRequestBuffer()
        let commands = question.keys.writeMGET(question.cached.plan, into: &request)
        handler.marks.trace?.enter(room.serving.storeSpan, commands: commands, rows: question.keys.rowCount)
        // A lane may refuse before it returns; then the reading is over already.
        let serial = serial
        reading = .lane(token: 0, permit)
        askedAt = now
        let token = lane.read(
            request, commands: commands, keys: question.keys.rowCount, deadline: latest, receiver: self)
        room.giveBackRequest(request)
        if serial == self.serial, case .lane = reading { reading = .lane(token: token, permit) }
    }

    func laneReceived(_ index: Int, _ bytes: UnsafeRawBufferPointer?) {
        unsafe rows.set(index, bytes)
    }

    func laneFinished(_ error: RedisError?) {
        guard case .lane(_, let permit) = reading, let question else { return }
        reading = .none
        handler.marks.trace?.leave(failing: error.map { "\($0.code)" })
        if let error {
            room.serving.gate.finished(permit, outcome(of: error))
            room.serving.metrics.storeFailed(StoreError(error).code)
            rows.failRest(question.cached.plan, question.keys, reason: error.shortWords)
        } else {
            room.storeAnsweredAt = .now()
            room.serving.gate.finished(permit, answeredOutcome)
        }
        finish()
    }

    /// What it says of the store that it answered.
    private var answeredOutcome: Breaker.Outcome {
        guard let slow = room.settings.slowCall else { return .success }
        let now = NIODeadline.now()
        return now - askedAt > slow && !room.isBehind(at: now) ? .slow : .success
    }

    private func outcome(of error: RedisError) -> Breaker.Outcome {
        switch error.code {
        case .connectionFailed, .connectionClosed, .malformedReply, .errorReply: .failure
        case .deadlineExceeded: timeoutOutcome
        case .overloaded, .cancelled, .requestTooLarge, .replyTooLarge, .invalidConfiguration, .clientClosed: .ignored
        }
    }

    /// What it says of the store that it did not answer in time: nothing if it had little, if this loop is behind itself, or if
    /// the store answered others meanwhile. Then there is too much under way, which is for the limit to mend.
    private var timeoutOutcome: Breaker.Outcome {
        let (latest, timeout) = (deadline - room.settings.reserve, room.settings.timeout)
        guard deadline - arrivedAt >= timeout, (latest - askedAt) * 2 >= timeout else { return .ignored }
        return room.storeAnsweredAt > askedAt || room.isBehind(at: .now()) ? .ignored : .failure
    }

    private func readInTask(_ question: Question, _ permit: Breaker.Permit, until latest: NIODeadline) {
        askedAt = .now()
        let serial = serial
        let lookup = FeatureLookup(room.serving.store)
        let (plan, keys, loop) = (question.cached.plan, question.keys, room.eventLoop)
        let bound = NIOLoopBound(self, eventLoop: loop)
        let task = Task {
            let rows = await lookup.read(plan, keys)
            loop.execute { bound.value.taskFinished(rows, serial) }
        }
        let timer = loop.assumeIsolated().scheduleTask(deadline: latest) { [self] in taskIsLate(serial) }
        reading = .task(task, timer, permit)
    }

    private func taskFinished(_ rows: PackedRows, _ serial: UInt64) {
        guard serial == self.serial, case .task(_, let timer, let permit) = reading, let question else { return }
        timer.cancel()
        reading = .none
        self.rows = rows
        let isFailed = !rows.failures(in: question.cached.plan).isEmpty
        handler.marks.trace?.leave(failing: isFailed ? "unavailable" : nil)
        if isFailed { room.serving.metrics.storeFailed(.unavailable) } else { room.storeAnsweredAt = .now() }
        room.serving.gate.finished(permit, isFailed ? .failure : answeredOutcome)
        finish()
    }

    private func taskIsLate(_ serial: UInt64) {
        guard serial == self.serial, case .task(let task, _, let permit) = reading, let question else { return }
        task.cancel()
        reading = .none
        handler.marks.trace?.leave(failing: "deadlineExceeded")
        room.serving.metrics.storeFailed(.deadlineExceeded)
        room.serving.gate.finished(permit, timeoutOutcome)
        fail(question, "the store did not answer in time")
    }

    func abandon() {
        defer { handler.marks.abandon() }
        body = ByteBuffer()
        if let ticket {
            self.ticket = nil
            room.leave(ticket)
            return ended(.abandoned)
        }
        guard question != nil else { return }
        switch reading {
        case .none: break
        case .lane(let token, let permit):
            room.lane?.abandon(token)
            room.serving.gate.finished(permit, .ignored)
        case .task(let task, let timer, let permit):
            task.cancel()
            timer.cancel()
            room.serving.gate.finished(permit, .ignored)
        }
        reading = .none
        question = nil
        giveBackRows()
        serial &+= 1
        ended(.abandoned)
    }

    private func giveBackRows() {
        let used = rows
        rows = PackedRows(count: 0)
        room.giveBack(used)
    }

    // MARK: The answer

    /// Answers with every value FAILED.
    private func fail(_ question: Question, _ reason: String) {
        rows.failRest(question.cached.plan, question.keys, reason: reason)
        finish()
    }

    private func finish() {
        guard let question else { return }
        var buffer = room.takeBuffer()
        AnswerHead.begin(&buffer)
        handler.marks.trace?.enter(SpanName.encode)
        do {
            let counts = try encode(question, into: &buffer)
            handler.marks.trace?.setOfStage(.bytes, buffer.writerIndex - AnswerHead.room)
            handler.marks.trace?.leave()
            self.question = nil
            question.cached.count(counts)
            let failures = rows.failures(in: question.cached.plan)
            ended(failures.isEmpty ? .ok : .degraded, cause: failures.values.first)
            giveBackRows()
            handler.answer(200, .json, &buffer)
            room.giveBack(buffer)
        } catch {
            fail(error)
        }
    }

    private func encode(_ question: Question, into buffer: inout ByteBuffer) throws(LookupError) -> LookupCounts {
        let now = WallClock.microseconds
        switch route {
        case .lookup:
            return try LookupEncoder.lookup(
                question.cached.plan, question.keys, &rows, now: now, ages: question.request.ages, into: &buffer)
        case .feast:
            var options = LookupEncoder.FeastOptions()
            options.fullFeatureNames = question.request.fullFeatureNames
            options.statuses = room.settings.imitatesFeast ? .feast : .honest
            options.versionMetadata = question.request.versionMetadata
            return try LookupEncoder.feast(
                question.cached.plan, question.keys, &rows, entities: question.entities, now: now, options: options,
                into: &buffer)
        }
    }

    private func fail(_ error: LookupError) {
        switch error.code {
        case .tooLarge: fail(.limitExceeded, error.description)
        case .unknownFeature: fail(.notFound, error.description)
        case .wrongRequest: fail(.invalidRequest, error.description)
        case .nameCollision:
            guard let question else { return fail(.invalidRequest, error.description) }
            let isFull = question.request.fullFeatureNames
            let features = FeatureSelection.collisions(in: question.cached.plan.features, fullFeatureNames: isFull)
            fail(ErrorBody.feast(.nameCollision(features, fullFeatureNames: isFull)))
        }
    }

    private func fail(_ problem: Problem, _ words: String, retryAfterSeconds: Int? = nil) {
        let answer = route == .feast ? ErrorBody.feast(problem, words) : ErrorBody.problem(problem, words)
        fail(answer, retryAfterSeconds: retryAfterSeconds)
    }

    private func fail(_ answer: ErrorAnswer, retryAfterSeconds: Int? = nil) {
        body = ByteBuffer()
        question = nil
        giveBackRows()
        var buffer = room.takeBuffer()
        AnswerHead.begin(&buffer)
        buffer.writeImmutableBuffer(answer.body)
        ended(answer.status == 503 ? .refused : .invalid, status: answer.status)
        handler.answer(
            answer.status, answer.contentType == ErrorBody.problemType ? .problem : .json,
            retryAfterSeconds: retryAfterSeconds, &buffer)
        room.giveBack(buffer)
    }

    private func ended(_ outcome: LookupOutcome, status: Int = 200, cause: String? = nil) {
        let now = NIODeadline.now()
        let time = now - arrivedAt
        room.serving.metrics.lookupEnded(route, outcome, after: time, trace: handler.marks.trace?.context)
        handler.marks.trace?.set(.outcome, outcome.name)
        let matter: RequestLog.Matter? =
            outcome == .degraded ? .degraded : status == 500 ? .failed : time > room.settings.slowRequest ? .slow : nil
        if let matter {
            room.log.note(
                matter, route: route.label.name, status: "\(status)", after: time, requestID: handler.requestID,
                trace: handler.marks.named, cause: cause, at: now)
        }
        if let permit {
            self.permit = nil
            room.serving.admission.finished(permit, admissionOutcome(outcome, at: now), at: now)
        }
        room.ended()
    }

    private func admissionOutcome(_ outcome: LookupOutcome, at now: NIODeadline) -> ConcurrencyLimiter.Outcome {
        switch outcome {
        case .ok: .success
        // A store that isn't asked, or refuses, is quick: that says nothing about how much can be under way.
        case .degraded: now >= deadline - room.settings.reserve ? .late : .ignored
        case .invalid, .refused, .abandoned: .ignored
        }
    }
}

extension RedisError {
    /// What a client is told: nothing of the server's own words.
    fileprivate var shortWords: String {
        switch code {
        case .deadlineExceeded: "the store did not answer in time"
        case .connectionFailed: "the store can't be reached"
        case .connectionClosed: "the connection to the store broke"
        case .overloaded: "too many reads wait for the store"
        case .errorReply: "the store refused to answer"
        case .malformedReply, .replyTooLarge, .requestTooLarge, .cancelled, .invalidConfiguration, .clientClosed:
            "the store can't be read"
        }
    }
}
