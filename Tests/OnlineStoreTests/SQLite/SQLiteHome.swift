import Foundation
import OnlineStore

extension StoreHome {
    /// A store in a file of its own, in a temporary folder.
    static let sqlite = StoreHome(
        name: "sqlite",
        withStore: { body in
            try await withTemporaryFolder { folder async throws in
                let store = try await SQLiteStore(path: folder + "/store.db", project: "conformance")
                try await body(store)
                await store.close()
            }
        },
        loseSessions: { store in
            await (store as? SQLiteStore)?.loseSessions()
        })
}

/// Runs `body` with a folder that is taken away afterwards.
func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    let folder = NSTemporaryDirectory() + "/tidemark-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}
