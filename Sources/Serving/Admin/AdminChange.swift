import Crypto
import FeatureModel
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Resilience
import Synchronization

/// A change that somebody asked for: its body and where it goes.
struct AdminChangeRequest: Sendable {
    let context: AdminContext
    private let members: [String: DocumentValue]

    /// - Throws: 400 for a body that is no JSON object. No body is an empty one.
    init(_ body: [UInt8], _ context: AdminContext) throws(AdminProblem) {
        self.context = context
        if body.allSatisfy({ [0x20, 0x09, 0x0a, 0x0d].contains($0) }) {
            members = [:]
        } else if case .mapping(let members) = AdminJSON.decode(body) {
            self.members = members
        } else {
            throw AdminProblem(.badRequest, "Bad request", "the body must be a JSON object")
        }
    }

    /// Refuses members that the route doesn't know, so that a misspelt condition is never passed over.
    func allow(_ names: Set<String>) throws(AdminProblem) {
        for name in members.keys.sorted() where !names.contains(name) {
            let known = names.isEmpty ? "nothing" : names.sorted().joined(separator: ", ")
            throw AdminProblem(
                .badRequest, "Bad request", "the body has a member that this route doesn't know; it knows: \(known)")
        }
    }

    /// A positive whole number; `nil` where there is none.
    func number(_ name: String) throws(AdminProblem) -> Int? {
        switch members[name] {
        case nil, .null?: return nil
        case .integer(let number)? where (1...1_000_000_000).contains(number): return Int(number)
        default: throw AdminProblem(.badRequest, "Bad request", "\(name) must be a whole number from 1 on")
        }
    }

    /// A text; `nil` where there is none.
    func text(_ name: String) throws(AdminProblem) -> String? {
        switch members[name] {
        case nil, .null?: return nil
        case .text(let text)?: return text
        default: throw AdminProblem(.badRequest, "Bad request", "\(name) must be a text")
        }
    }

    /// What a required member lacks.
    func missing(_ name: String) -> AdminProblem {
        AdminProblem(.badRequest, "Bad request", "the body must have \(name)")
    }
}

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
    private let audit: AuditLog
    private let journal: AnswerJournal?
    /// Microseconds since 1970.
    private let wall: @Sendable () -> Int64

    /// Without a journal keys are forgotten when the process ends.
    init(audit: AuditLog, journal: AnswerJournal?, wall: @escaping @Sendable () -> Int64) {
        self.audit = audit
        self.journal = journal
        self.wall = wall
    }

    /// Takes the keys of the journal into memory, before the first request.
    func recover() async throws {
        guard let journal else { return }
        let (wall, now) = (wall(), ContinuousClock.now)
        for entry in try await journal.recover(now: wall) {
            let age = Duration.microseconds(max(0, wall - entry.at))
            table.withLock {
                $0.restore(
                    Key(principal: entry.principal, key: entry.key), entry.fingerprint, entry.answer,
                    bytes: (entry.answer?.body.count ?? 0) + 512, at: now - age)
            }
        }
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
        let change = try AdminChangeRequest(body, context)
        let target = try parameter.map { name throws(AdminProblem) in try context.name(name) } ?? ""
        try await prepareAudit(context)
        let fingerprint = Self.fingerprint(request, body)
        switch table.withLock({ $0.begin(key, fingerprint, at: .now) }) {
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
        let subject = Subject(context: context, principal: principal, action: action, target: target)
        let (answer, isFinal) = await execute(change, subject, work)
        table.withLock {
            $0.finish(key, isFinal ? answer : nil, bytes: answer.body.count + 512, at: .now)
        }
        do {
            try await journal?.finish(key.principal, key.key, isFinal ? answer : nil)
        } catch {
            // In memory it is known; behind a restart the same request is carried out anew, which changes nothing more.
            context.logger.error(
                "the answer to an admin change is not in its file", metadata: ["error": "\(error)"])
        }
        return answer.response
    }

    /// Nothing is changed under a key that can't be written down.
    private func begin(_ key: Key, _ fingerprint: [UInt8], _ context: AdminContext) async throws(AdminProblem) {
        do {
            try await journal?.begin(key.principal, key.key, fingerprint, now: wall())
        } catch {
            table.withLock { $0.finish(key, nil, bytes: 0, at: .now) }
            context.logger.error(
                "the file of idempotency keys can't be written: changes are refused", metadata: ["error": "\(error)"])
            throw Self.busy(
                "the file of idempotency keys can't be written, so nothing is changed; the log says why",
                .serviceUnavailable)
        }
    }

    private struct Subject: Sendable {
        let context: AdminContext
        let principal: Principal
        let action: String
        let target: String
    }

    /// Carries it out and records it. The answer is final unless the request never got as far as a change.
    private func execute(
        _ change: AdminChangeRequest, _ subject: Subject, _ work: Work
    ) async -> (answer: AdminAnswer, isFinal: Bool) {
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
                AdminAnswer(status: .ok, contentType: "application/json", body: AdminJSON.encode(done.answer)), true
            )
        case .failure(let error):
            let problem = AdminProblem(error)
            if problem.status.kind == .serverError {
                subject.context.logger.error("an admin request failed", metadata: ["error": "\(error)"])
            }
            let answer = AdminAnswer(
                status: problem.status, contentType: "application/problem+json",
                body: problem.body(requestID: subject.context.requestID), headers: problem.headers)
            if problem.status == .badRequest { return (answer, false) }
            let outcome: AuditEntry.Outcome = problem.status.kind == .serverError ? .failed : .refused
            await record(subject, .null, .null, outcome, status: problem.status.code, error: problem.detail)
            // Who is told to come back later may come with the same key: every change is a compare-and-swap.
            let isPassing = problem.headers[.retryAfter] != nil || problem.status == .gatewayTimeout
            return (answer, !isPassing)
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
