import Glibc
import LocalDatabase

/// A database file that appears whole or not at all: built beside its place, then renamed into it.
struct ShopFile {
    let path: String

    /// Where the file is while it is being built.
    var partial: String { path + ".partial" }

    /// Builds a shop: `body` fills the empty tables. What fails or is cancelled leaves nothing behind.
    func build<Result: Sendable>(
        overwrite: Bool, _ body: @escaping @Sendable (SQLiteConnection) throws -> Result
    ) async throws -> Result {
        try prepare(overwrite: overwrite)
        defer { removePartial() }
        let result = try await fill(body)
        try publish()
        return result
    }

    private func fill<Result: Sendable>(
        _ body: @escaping @Sendable (SQLiteConnection) throws -> Result
    ) async throws -> Result {
        let database = try await LocalDatabase(
            .init(path: partial, setup: ShopSchema.buildSettings + ShopSchema.createTables))
        let result = try await database.run(body)
        await database.close()
        return result
    }

    /// What follows every bulk load: aggregates, indexes, and settings for daily use.
    static func finish(_ database: SQLiteConnection, now: Int64, _ progress: ShopProgress.Handler) throws {
        progress(ShopProgress(stage: .aggregates, done: 0, total: 0))
        try database.transaction { _ in try ShopAggregates.compute(database, now: now) }
        for (done, index) in ShopSchema.createIndexes.enumerated() {
            try Task.checkCancellation()
            progress(ShopProgress(stage: .indexes, done: done, total: ShopSchema.createIndexes.count))
            try database.execute(index)
        }
        try database.execute(ShopSchema.finishSettings)
    }

    /// Refuses an output that exists, and removes what an earlier attempt left behind.
    private func prepare(overwrite: Bool) throws(RetailError) {
        if exists(path), !overwrite {
            throw RetailError(.exists, "the output exists already", detail: path)
        }
        removePartial()
    }

    /// Puts the finished file in its place, on disk before it gets its name.
    private func publish() throws(RetailError) {
        let descriptor = unsafe open(partial, O_RDWR)
        guard descriptor >= 0 else { throw failure("cannot open the new database") }
        let synced = fsync(descriptor)
        close(descriptor)
        guard synced == 0 else { throw failure("cannot write the new database to disk") }
        // A write-ahead log of the replaced file would be applied to the new one.
        unsafe unlink(path + "-wal")
        unsafe unlink(path + "-shm")
        guard unsafe rename(partial, path) == 0 else { throw failure("cannot name the new database") }
    }

    private func removePartial() {
        for suffix in ["", "-journal", "-wal", "-shm"] { unsafe unlink(partial + suffix) }
    }

    private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    private func failure(_ message: StaticString) -> RetailError {
        RetailError(.inputOutput, message, detail: unsafe "\(path): \(String(cString: strerror(errno)))")
    }
}
