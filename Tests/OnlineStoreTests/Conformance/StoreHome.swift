import OnlineStore
import Testing

/// A way to come by a store of one kind, for the conformance suite.
struct StoreHome: Sendable, CustomTestStringConvertible {
    let name: String
    /// Why it can't be had on this machine, such as a server that isn't installed; `nil` where it can.
    var missing: String?
    /// Runs a body with an open store, and closes and clears it away afterwards. Tests use names of their own, so several
    /// may share what lies behind the store.
    let withStore: @Sendable (_ body: @Sendable (any OnlineStore) async throws -> Void) async throws -> Void
    /// Ends the sessions of a store as a broken connection or a restart does; `nil` where that can't be done.
    var loseSessions: (@Sendable (any OnlineStore) async throws -> Void)?

    var testDescription: String { name }

    /// Every home of rows. One line adds one.
    static let homes: [StoreHome] = [
        .memory, .sqlite, .redis,
    ]

    /// The homes that can be had here. What is missing is said, not passed over.
    static let available = homes.filter { home in
        if let missing = home.missing { print("SKIPPED: conformance of the \(home.name) store: \(missing)") }
        return home.missing == nil
    }
}

extension StoreHome {
    static let memory = StoreHome(
        name: "memory",
        withStore: { body in
            let store = MemoryStore()
            try await body(store)
            await store.close()
        },
        loseSessions: { store in
            (store as? MemoryStore)?.loseSessions()
        })
}
