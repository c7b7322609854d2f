import Crypto
import FeatureModel
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Resilience
import Synchronization

/// What a change did.
struct AdminChange: Sendable {
    let before: DocumentValue
    let after: DocumentValue
    /// The answer's body.
    let answer: DocumentValue
}

/// The last layer of every change: once for each idempotency key, and recorded.
final class AdminChanges: Sendable {
    /// Carries a change out.
    typealias Work = @Sendable (AdminChangeRequest) async throws -> AdminChange

    private struct Key: Hashable, Sendable {
        let principal: String
        let key: String
    }

    private typealias Table = IdempotencyTable<Key, [UInt8], AdminAnswer>

    private let table = Mutex(Table())
    /// Whether the journal's keys are in the table.
    private let isRecovered: Atomic<Bool>
    private let audit: AuditLog
    private let journal: AnswerJournal?
    /// Microseconds since 1970.
    private let wall: @Sendable () -> Int64

    /// Without a journal keys are forgotten when the process ends.
    init(audit: AuditLog, journal: AnswerJournal?, wall: @escaping @Sendable () -> Int64) {
        self.audit = audit
        self.journal = journal
        self.wall = wall
        isRecovered = Atomic(journal == nil)
    }

    /// Takes the keys of the journal into memory, before the first request, or before the first change once the file can be read.
    func recover() async throws {
        guard let journal, !isRecovered.load(ordering: .acquiring) else { return }
        let (wall, now) = (wall(), ContinuousClock.now)
        for entry in try await journal.recover(now: wall) {
            let age = Duration.microseconds(max(0, wall - entry.at))
            table.withLock {
                $0.restore(
                    Key(principal: entry.principal, key: entry.key), entry.fingerprint, entry.answer, note: entry.aim,
                    bytes: (entry.answer?.body.count ?? 0) + 512, at: now - age)
            }
        }
        isRecovered.store(true, ordering: .releasing)
    }

    /// Answers a request that changes something. `action` is its name in the audit log, `parameter` that of the path's part it is
    /// done to, if there is one. Without `needsKey` a request may lack its Idempotency-Key.
    func respond(
        to request: Request, _ context: AdminContext, action: String, parameter: String?, needsKey: Bool = true,
        _ work: Work
    ) async throws -> Response {
        let principal = try context.authenticated()
        let fields = request.headers[values: .idempotencyKey]
        // Without a key, where one may be missing, each request is one of its own.
        let word = fields.isEmpty && !needsKey ? " \(Self.nonce())" : try Self.key(fields)
        let key = Key(principal: principal.name, key: word)
        let body = try await AdminBody.collect(request)
        var change = try AdminChangeRequest(body, context)
        let target = try parameter.map { name throws(AdminProblem) in try context.name(name) } ?? ""
        try await prepareAudit(context)
        try await recover(context)
        let fingerprint = Self.fingerprint(request, body)
        let (admission, aimed) = table.withLock { ($0.begin(key, fingerprint, at: .now), $0.note(of: key)) }
        switch admission {
        case .execute: break
        case .replay(let answer):
            var response = answer.response
            response.headers[.idempotencyReplayed] = "true"
            return response
        case .inFlight:
            throw Self.busy("a request with this Idempotency-Key is still being carried out", .conflict)
        case .mismatch:
            throw AdminProblem(
                .unprocessableContent, "Idempotency-Key used before",
                "this Idempotency-Key came with another request before")
        case .full: throw Self.busy("too many changes are remembered; try again later", .serviceUnavailable)
        }
        try await begin(key, fingerprint, context)
        change.aimed = aimed
        change.keep = { aim in
            do {
                try await self.journal?.aim(key.principal, key.key, aim)
            } catch {
                throw Self.unwritable(error, context)
            }
            self.table.withLock { $0.note(aim, of: key) }
        }
        let subject = Subject(context: context, principal: principal, action: action, target: target)
        let (answer, ending) = await execute(change, subject, work)
        await end(key, answer, ending, context)
        return answer.response
    }

    /// What becomes of a key.
    private enum Ending {
        /// The answer is kept.
        case final
        /// The request never got as far as a change.
        case free
        /// The same request may come again.
        case open
    }

    // The file first: a request that comes in between is told to wait, and finds the same behind a restart.
    private func end(_ key: Key, _ answer: AdminAnswer, _ ending: Ending, _ context: AdminContext) async {
        do {
            if ending != .open {
                try await journal?.finish(key.principal, key.key, ending == .final ? answer : nil)
            }
        } catch {
            // In memory it is known; behind a restart the same request is carried out anew, towards the same aim.
            context.logger.error(
                "the answer to an admin change is not in its file", metadata: ["error": "\(error)"])
        }
        table.withLock { table in
            switch ending {
            case .final: table.finish(key, answer, bytes: answer.body.count + 512, at: .now)
            case .free: table.finish(key, nil, bytes: 0, at: .now)
            case .open: table.interrupt(key, at: .now)
            }
        }
    }

    private func recover(_ context: AdminContext) async throws(AdminProblem) {
        do {
            try await recover()
        } catch {
            throw Self.unwritable(error, context)
        }
    }

    /// Nothing is changed under a key that can't be written down.
    private func begin(_ key: Key, _ fingerprint: [UInt8], _ context: AdminContext) async throws(AdminProblem) {
        do {
            try await journal?.begin(key.principal, key.key, fingerprint, now: wall())
        } catch {
            // What an attempt before set out to do isn't forgotten.
            table.withLock { table in
                if table.note(of: key) == nil {
                    table.finish(key, nil, bytes: 0, at: .now)
                } else {
                    table.interrupt(key, at: .now)
                }
            }
            throw Self.unwritable(error, context)
        }
    }

    private static func unwritable(_ error: any Error, _ context: AdminContext) -> AdminProblem {
        context.logger.error(
            "the file of idempotency keys can't be written: changes are refused", metadata: ["error": "\(error)"])
        return busy(
            "the file of idempotency keys can't be written, so nothing is changed; the log says why",
            .serviceUnavailable)
    }

    private struct Subject: Sendable {
        let context: AdminContext
        let principal: Principal
        let action: String
        let target: String
    }

    /// Carries it out and records it.
    private func execute(
        _ change: AdminChangeRequest, _ subject: Subject, _ work: Work
    ) async -> (answer: AdminAnswer, ending: Ending) {
        let result: Result<AdminChange, any Error>
        do {
            result = .success(try await work(change))
        } catch {
            result = .failure(error)
        }
        switch result {
        case .success(let done):
            await record(subject, done.before, done.after, .done, status: 200, error: nil)
            return (
                AdminAnswer(status: .ok, contentType: "application/json", body: AdminJSON.encode(done.answer)), .final
            )
        case .failure(let error):
            let problem = AdminProblem(error)
            if problem.status.kind == .serverError {
                subject.context.logger.error("an admin request failed", metadata: ["error": "\(error)"])
            }
            let answer = AdminAnswer(
                status: problem.status, contentType: "application/problem+json",
                body: problem.body(requestID: subject.context.requestID), headers: problem.headers)
            if problem.status == .badRequest { return (answer, .free) }
            let outcome: AuditEntry.Outcome = problem.status.kind == .serverError ? .failed : .refused
            await record(subject, .null, .null, outcome, status: problem.status.code, error: problem.detail)
            // Who is told to come back later may come with the same key: every change says what it is, or keeps its aim.
            let isPassing = problem.headers[.retryAfter] != nil || problem.status == .gatewayTimeout
            return (answer, isPassing ? .open : .final)
        }
    }

    private func record(
        _ subject: Subject, _ before: DocumentValue, _ after: DocumentValue, _ outcome: AuditEntry.Outcome,
        status: Int, error: String?
    ) async {
        let entry = AuditEntry(
            at: wall(), principal: subject.principal.name, peer: subject.context.peer,
            requestID: subject.context.requestID, action: subject.action, target: subject.target, before: before,
            after: after, outcome: outcome, status: status, error: error)
        subject.context.logger.notice(
            "an admin change",
            metadata: [
                "action": "\(entry.action)", "target": "\(entry.target)", "outcome": "\(outcome.rawValue)",
                "peer": "\(entry.peer)",
            ])
        if await !audit.append(entry) {
            subject.context.logger.error(
                "the audit log can't be written: further changes are refused",
                metadata: ["error": "\(audit.failure ?? "")"])
        }
    }

    private func prepareAudit(_ context: AdminContext) async throws(AdminProblem) {
        do {
            try await audit.prepare()
        } catch {
            context.logger.error(
                "the audit log can't be written: changes are refused", metadata: ["error": "\(error)"])
            throw Self.busy(
                "the audit log can't be written, so nothing is changed; the log says why", .serviceUnavailable)
        }
    }

    private static func busy(_ detail: String, _ status: HTTPResponse.Status) -> AdminProblem {
        var problem = AdminProblem(status, status.reasonPhrase, detail)
        problem.headers[.retryAfter] = "1"
        return problem
    }

    /// The key: a structured-field string, or a bare word as many clients send it.
    private static func key(_ fields: [String]) throws(AdminProblem) -> String {
        guard let field = fields.first, !field.isEmpty else {
            throw AdminProblem(
                .badRequest, "Idempotency-Key missing",
                "requests that change something carry an Idempotency-Key, such as a new UUID; the answer is kept for 24 hours"
            )
        }
        var key = field[...]
        if key.hasPrefix("\""), key.hasSuffix("\""), key.utf8.count >= 2 { key = key.dropFirst().dropLast() }
        guard fields.count == 1, (1...255).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        else {
            throw AdminProblem(
                .badRequest, "Idempotency-Key malformed",
                "an Idempotency-Key is one word of 1 to 255 printable ASCII characters, in quotes or without")
        }
        return String(key)
    }

    /// No client's key: those have no blank.
    private static func nonce() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    private static func fingerprint(_ request: Request, _ body: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: Array("\(request.method.rawValue) \(request.uri.string)\n".utf8))
        hash.update(data: body)
        return Array(hash.finalize())
    }
}

/// Bodies of the admin listener: bounded in size and time.
enum AdminBody {
    static func collect(_ request: Request) async throws -> [UInt8] {
        let body = request.body
        return try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                let buffer = try await body.collect(upTo: AdminLimits.bodyBytes)
                return Array(buffer.readableBytesView)
            }
            group.addTask {
                try await Task.sleep(for: AdminLimits.bodyTime)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let bytes = first else {
                var problem = AdminProblem(.requestTimeout, "Request timeout", "the body took too long")
                problem.headers[.connection] = "close"
                throw problem
            }
            return bytes
        }
    }
}
