import Synchronization

/// The faults that a `MemoryStore` was told to have.
struct MemoryFaults {
    var failuresLeft = 0
    var code = StoreError.Code.unavailable
    var hook: MemoryStore.FaultHook?
}

extension MemoryStore {
    /// The calls of the store and its sessions, by name.
    package enum Operation: String, Sendable, CaseIterable {
        case read, inspect, scan, remove, openSession
        case acquireLease, renewLease, releaseLease, leaseHolder
        case document, replaceDocument, append, entries
        case put, values, fields, fieldCount, removeFields
        case diagnose, usedBytes
        case write, marker, advance
    }

    /// When a fault strikes: `after` is an answer that got lost, with its effect in place.
    package enum Moment: String, Sendable, CaseIterable {
        case before, after
    }

    /// Called around every operation, outside of the store's lock; what it throws is what the caller gets. It may call
    /// `loseEverything` and the like.
    package typealias FaultHook = @Sendable (Operation, Moment) throws(StoreError) -> Void

    /// The contents at one moment, like a file that a server wrote for its restart.
    package struct Snapshot: Sendable {
        let contents: MemoryState.Contents
    }

    /// Makes the next `count` operations throw an error of this code, without effect.
    package func failNext(_ count: Int, _ code: StoreError.Code) {
        faults.withLock {
            $0.failuresLeft = count
            $0.code = code
        }
    }

    /// Sets or, with `nil`, takes away the hook.
    package func setFaultHook(_ hook: FaultHook?) {
        faults.withLock { $0.hook = hook }
    }

    /// Comes back empty, like a server without persistence that was restarted. All sessions are lost. Lease tokens still
    /// grow, since they follow a clock.
    package func loseEverything() {
        state.withLock { $0.replaceContents(.init()) }
    }

    /// Keeps the contents of this moment, for `restore`.
    package func snapshot() -> Snapshot {
        Snapshot(contents: state.withLock { $0.contents })
    }

    /// Comes back with older contents, like a server that was restarted from its last dump. All sessions are lost.
    package func restore(_ snapshot: Snapshot) {
        state.withLock { $0.replaceContents(snapshot.contents) }
    }

    /// Ends all sessions and changes nothing else, like broken connections.
    package func loseSessions() {
        state.withLock { $0.generation += 1 }
    }

    /// Throws what was asked for at this moment of an operation, if anything.
    func strike(_ operation: Operation, _ moment: Moment) throws(StoreError) {
        let (code, hook) = faults.withLock { faults -> (StoreError.Code?, FaultHook?) in
            guard moment == .before, faults.failuresLeft > 0 else { return (nil, faults.hook) }
            faults.failuresLeft -= 1
            return (faults.code, nil)
        }
        if let code { throw StoreError(code, "a fault that was asked for", detail: operation.rawValue) }
        try hook?(operation, moment)
    }
}
