package import NIOCore
import Synchronization

/// Who may ask the serving daemon for what: the policy in force, for all its listeners. Safe to use from any thread.
package final class DataAccess: Sendable {
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

    /// Why a request with these `Authorization` fields may not have what it needs; `nil` when it may. `count` is how many
    /// fields there are, `field` the first.
    package mutating func refusal(
        _ field: String?, count: Int, _ need: AccessNeed, _ access: DataAccess, at now: NIODeadline
    ) -> AccessRefusal? {
        if access.isOpen { return nil }
        if case .nothing = need { return nil }
        if !access.isAt(generation) { follow(access) }
        guard let policy else { return nil }
        guard let field, count == 1 else { return count == 0 ? .missing : .invalid }
        do throws(AccessRefusal) {
            return try grant(field, policy, at: now).refusal(need, at: now)
        } catch {
            return error
        }
    }

    private mutating func follow(_ access: DataAccess) {
        (policy, generation) = access.current
        entries = Array(repeating: nil, count: policy == nil ? 0 : Self.sets * Self.ways)
    }

    private mutating func grant(
        _ field: String, _ policy: AccessPolicy, at now: NIODeadline
    ) throws(AccessRefusal) -> AccessGrant {
        let found: (grant: AccessGrant?, first: Int)? = unsafe field.utf8.withContiguousStorageIfAvailable { bytes in
            unsafe find(UnsafeRawBufferPointer(bytes))
        }
        if let grant = found?.grant { return grant }
        let bytes = Array(field.utf8)
        let grant = try policy.grant(bytes, at: now)
        if let first = found?.first, bytes.count <= Self.longest {
            let free = (first..<first + Self.ways).first { entries[$0] == nil }
            victim = (victim + 1) % Self.ways
            entries[free ?? first + victim] = Entry(field: bytes, grant: grant)
        }
        return grant
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

    /// Why a call with these `authorization` values may not have what it needs; `nil` when it may.
    package func refusal(_ fields: [String], _ need: AccessNeed, at now: NIODeadline) -> AccessRefusal? {
        if access.isOpen { return nil }
        return cache.withLock { $0.refusal(fields.first, count: fields.count, need, access, at: now) }
    }
}
