package import FeatureModel
import Synchronization

/// A session of a `MemoryStore`. It is lost when the store's contents are lost or replaced, as by a restart.
package final class MemorySession: StoreSession {
    package let lease: Lease
    private let store: MemoryStore
    private let generation: Int
    private let isOpen = Atomic(true)

    init(store: MemoryStore, lease: Lease, generation: Int) {
        self.store = store
        self.lease = lease
        self.generation = generation
    }

    package func write(
        _ batch: RowBatch, in space: KeySpace, mode: WriteMode
    ) async throws(StoreError) -> [WriteOutcome] {
        try perform(.write) { state, now throws(StoreError) in
            switch mode {
            case .newest, .repair: try state.requireNewest(lease)
            case .compare, .push: break
            }
            return try state.write(batch, space, mode, at: now)
        }
    }

    package func marker(_ space: KeySpace) async throws(StoreError) -> Marker? {
        try perform(.marker) { state, _ in state.contents.markers[space] }
    }

    package func advance(_ space: KeySpace, to marker: Marker) async throws(StoreError) {
        try perform(.advance) { state, _ throws(StoreError) in try state.advance(space, to: marker, lease: lease) }
    }

    package func close() async {
        isOpen.store(false, ordering: .relaxed)
    }

    private func perform<Result: Sendable>(
        _ operation: MemoryStore.Operation,
        _ body: (inout MemoryState, ContinuousClock.Instant) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        try store.perform(operation) { state, now throws(StoreError) in
            guard isOpen.load(ordering: .relaxed), state.generation == generation else {
                throw StoreError(.sessionLost, "the session is over")
            }
            return try body(&state, now)
        }
    }
}
