package import FeatureModel
import Synchronization

/// A session of a `SQLiteStore`: there is no connection to lose, so it ends with `close` or with the file.
package final class SQLiteSession: StoreSession {
    package let lease: Lease
    private let store: SQLiteStore
    private let generation: Int
    private let isOpen = Atomic(true)
    private let purgePlace = Mutex(SQLiteStoreTables.PurgePlace())

    init(store: SQLiteStore, lease: Lease, generation: Int) {
        self.store = store
        self.lease = lease
        self.generation = generation
    }

    package func write(
        _ batch: RowBatch, in space: KeySpace, mode: WriteMode
    ) async throws(StoreError) -> [WriteOutcome] {
        try requireOpen()
        let lease = lease
        if case .compare = mode {
            return try await store.write(generation: generation) { tables in try tables.write(batch, space, mode) }
        }
        let place = purgePlace.withLock { $0 }
        let (outcomes, next) = try await store.write(generation: generation) { tables in
            switch mode {
            case .newest, .repair: try tables.requireNewest(lease)
            case .compare, .push: break
            }
            return (try tables.write(batch, space, mode), try tables.purge(behind: place))
        }
        purgePlace.withLock { $0 = next }
        return outcomes
    }

    package func marker(_ space: KeySpace) async throws(StoreError) -> Marker? {
        try requireOpen()
        return try await store.write(generation: generation) { tables in try tables.marker(space) }
    }

    package func advance(_ space: KeySpace, to marker: Marker) async throws(StoreError) {
        try requireOpen()
        let lease = lease
        try await store.write(generation: generation) { tables in try tables.advance(space, to: marker, lease) }
    }

    package func close() async {
        isOpen.store(false, ordering: .relaxed)
    }

    private func requireOpen() throws(StoreError) {
        guard isOpen.load(ordering: .relaxed) else { throw StoreError(.sessionLost, "the session is over") }
    }
}
