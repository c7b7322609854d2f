package import NIOCore
import Resilience
import Synchronization

/// Who may ask the serving daemon for what: the policy in force, for all its listeners. Safe to use from any thread.
package final class DataAccess: Sendable {
    /// How many wrong tokens a peer may bring before those that nobody remembers are refused unseen.
    static let failures = Quota(60, per: .seconds(60))

    private let wrong = Mutex(RateLimiter<String>(capacity: 4_096))
    private let policy = Mutex<AccessPolicy?>(nil)
    /// 0 while everybody may do everything; grows with each policy.
    private let generation = Atomic<UInt64>(0)
    private let changes = Atomic<UInt64>(0)

    /// Everybody may do everything until `apply`.
    package init() {}

    /// Goes by another policy from the next request on; `nil` lets everybody do everything.
    package func apply(_ policy: AccessPolicy?) {
        self.policy.withLock { current in
            current = policy
            let next = changes.add(1, ordering: .relaxed).newValue
            generation.store(policy == nil ? 0 : next, ordering: .releasing)
        }
    }

    /// Whether everybody may do everything. One read.
    package var isOpen: Bool { generation.load(ordering: .acquiring) == 0 }

    /// What a policy says to a field that nobody remembers, from a peer. Costs a hash or a signature, and is done under no lock.
    fileprivate func ask(_ question: AccessCache.Question, _ peer: String) throws(AccessRefusal) -> AccessGrant {
        // Hashes of tokens are quick to compare, and whoever has one isn't kept out by others' guesses.
        if let grant = try question.policy.known(question.field) { return grant }
        let isSpent = wrong.withLock { wrong in
            if case .refuse = wrong.peek(peer, Self.failures, at: .now) { true } else { false }
        }
        guard !isSpent else { throw .exhausted }
        do throws(AccessRefusal) {
            return try question.policy.signed(question.field, at: question.now)
        } catch {
            wrong.withLock { _ = $0.take(peer, Self.failures, at: .now) }
            throw error
        }
    }

    fileprivate var current: (policy: AccessPolicy?, generation: UInt64) {
        policy.withLock { ($0, generation.load(ordering: .relaxed)) }
    }

    fileprivate func isAt(_ generation: UInt64) -> Bool { self.generation.load(ordering: .acquiring) == generation }
}

/// Remembers who holds which token, so that a request with a token known already costs a hash of its bytes and a
/// comparison. One an event loop; used on it alone.
///
/// It holds `sets × ways` tokens that were accepted, each at most `longest` bytes; wrong ones push out nobody. Which four may
/// be the one is found by a hash with a random seed (SipHash), and they are compared in constant time, so that the time an
/// answer takes tells nothing about the tokens it holds.
package struct AccessCache {
    private static let sets = 128
    private static let ways = 4
    /// Tokens that are longer, in bytes, are checked anew with each request.
    private static let longest = 4_096

    private struct Entry {
        let field: [UInt8]
        let grant: AccessGrant
    }

    private var generation: UInt64 = 0
    private var policy: AccessPolicy?
    private var entries: [Entry?] = []
    private var victim = 0

    package init() {}

    /// A field that is not remembered, and whom to ask about it.
    struct Question: Sendable {
        let field: [UInt8]
        let policy: AccessPolicy
        fileprivate let generation: UInt64
        /// Where it would be remembered.
        fileprivate let first: Int?
        fileprivate let now: NIODeadline
    }

    enum Verdict {
        /// Why not; `nil` for yes.
        case known(AccessRefusal?)
        case unknown(Question)
    }

    /// Why a request with these `Authorization` fields may not have what it needs; `nil` when it may. `count` is how many
    /// fields there are, `field` the first. `peer` names whoever asks, and is asked for only where the field isn't remembered.
    package mutating func refusal(
        _ field: String?, count: Int, _ need: AccessNeed, _ access: DataAccess, at now: NIODeadline,
        peer: () -> String
    ) -> AccessRefusal? {
        switch look(field, count: count, need, access, at: now) {
        case .known(let refusal): return refusal
        case .unknown(let question):
            do throws(AccessRefusal) {
                let grant = try access.ask(question, peer())
                remember(question, grant)
                return grant.refusal(need, at: now)
            } catch {
                return error
            }
        }
    }

    /// As far as it can be said by what is remembered.
    mutating func look(
        _ field: String?, count: Int, _ need: AccessNeed, _ access: DataAccess, at now: NIODeadline
    ) -> Verdict {
        if access.isOpen { return .known(nil) }
        if case .nothing = need { return .known(nil) }
        if !access.isAt(generation) { follow(access) }
        guard let policy else { return .known(nil) }
        guard let field, count == 1 else { return .known(count == 0 ? .missing : .invalid) }
        let found: (grant: AccessGrant?, first: Int)? = unsafe field.utf8.withContiguousStorageIfAvailable { bytes in
            unsafe find(UnsafeRawBufferPointer(bytes))
        }
        if let grant = found?.grant { return .known(grant.refusal(need, at: now)) }
        return .unknown(
            Question(field: Array(field.utf8), policy: policy, generation: generation, first: found?.first, now: now))
    }

    /// Remembers whom a field lets in, unless the policy has changed since.
    mutating func remember(_ question: Question, _ grant: AccessGrant) {
        guard question.generation == generation, let first = question.first, question.field.count <= Self.longest else {
            return
        }
        let free = (first..<first + Self.ways).first { entries[$0] == nil }
        victim = (victim + 1) % Self.ways
        entries[free ?? first + victim] = Entry(field: question.field, grant: grant)
    }

    private mutating func follow(_ access: DataAccess) {
        (policy, generation) = access.current
        entries = Array(repeating: nil, count: policy == nil ? 0 : Self.sets * Self.ways)
    }

    /// The grant of a field that was seen before, and the first of the places where it is or would be.
    private func find(_ field: UnsafeRawBufferPointer) -> (grant: AccessGrant?, first: Int) {
        var hasher = Hasher()
        unsafe hasher.combine(bytes: field)
        let first = (hasher.finalize() & (Self.sets - 1)) * Self.ways
        var found = -1
        for place in first..<first + Self.ways where entries[place]?.field.count == field.count {
            guard let isSame = unsafe entries[place]?.field.withUnsafeBytes({ unsafe Self.isSame($0, field) }) else {
                continue
            }
            if isSame { found = place }
        }
        return (found < 0 ? nil : entries[found]?.grant, first)
    }

    /// Compares bytes of one length; reads all of them, whatever it finds.
    package static func isSame(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in 0..<left.count { unsafe difference |= left[index] ^ right[index] }
        return difference == 0
    }
}

/// An `AccessCache` for callers on many threads.
package final class SharedAccess: Sendable {
    private let access: DataAccess
    private let cache = Mutex(AccessCache())

    package init(_ access: DataAccess) {
        self.access = access
    }

    /// Why a call with these `authorization` values may not have what it needs; `nil` when it may. A signature is checked outside
    /// of the lock, so that a wrong token holds up nobody else's call.
    package func refusal(
        _ fields: [String], _ need: AccessNeed, at now: NIODeadline, peer: () -> String
    ) -> AccessRefusal? {
        if access.isOpen { return nil }
        let verdict = cache.withLock { $0.look(fields.first, count: fields.count, need, access, at: now) }
        switch verdict {
        case .known(let refusal): return refusal
        case .unknown(let question):
            do throws(AccessRefusal) {
                let grant = try access.ask(question, peer())
                cache.withLock { $0.remember(question, grant) }
                return grant.refusal(need, at: now)
            } catch {
                return error
            }
        }
    }
}
