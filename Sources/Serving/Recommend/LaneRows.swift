import NIOCore
package import OnlineStore
import Recommend
import RedisClient
import Synchronization

/// Rows through the daemon's own connections to Redis: all views of a read in one command, into one arena.
package struct LaneRows: RowSource {
    private let serving: ServingContext
    private let others: StoreRows

    package init(_ serving: ServingContext) {
        self.serving = serving
        others = StoreRows(serving.store)
    }

    /// A lane's reads end by a timer of its event loop; a store's calls take their own time.
    package var endsInTime: Bool { serving.laneConfiguration != nil && serving.anyRoom() != nil }

    package func read(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows {
        // Where the store isn't Redis there are no lanes.
        guard serving.laneConfiguration != nil else { return try await others.read(plan, keys, deadline: deadline) }
        let remaining = TimeAmount(max(.zero, deadline - .now))
        let result: Result<PackedRows, StoreError>? = await withCheckedContinuation { waiting in
            let rowCount = keys.rowCount
            if let own = serving.ownRoom() {
                LaneReading(rowCount, waiting).begin(own, plan, keys, deadline: .now() + remaining)
            } else if let other = serving.anyRoom() {
                other.eventLoop.execute {
                    LaneReading(rowCount, waiting).begin(other.value, plan, keys, deadline: .now() + remaining)
                }
            } else {
                waiting.resume(returning: nil)
            }
        }
        // Before the listener is up there are no lanes either.
        guard let result else { return try await others.read(plan, keys, deadline: deadline) }
        return try result.get()
    }

    /// Through the store's own connections, which are none of a lane's.
    package func readAgain(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows {
        try await others.read(plan, keys, deadline: deadline)
    }
}

/// One read on its way. Of one event loop.
private final class LaneReading: RedisLaneReceiver {
    private var rows: PackedRows
    private let waiting: CheckedContinuation<Result<PackedRows, StoreError>?, Never>

    init(_ count: Int, _ waiting: CheckedContinuation<Result<PackedRows, StoreError>?, Never>) {
        rows = PackedRows(count: count)
        self.waiting = waiting
    }

    func begin(_ room: LoopRoom, _ plan: LookupPlan, _ keys: LookupKeys, deadline: NIODeadline) {
        guard let lane = room.lane else {
            return waiting.resume(
                returning: .failure(StoreError(.unavailable, "the connection to the store is closed")))
        }
        var request = room.takeRequestBuffer()
        let commands = keys.writeMGET(plan, into: &request)
        lane.read(request, commands: commands, keys: keys.rowCount, deadline: deadline, receiver: self)
        room.giveBackRequest(request)
    }

    func laneReceived(_ index: Int, _ bytes: UnsafeRawBufferPointer?) {
        unsafe rows.set(index, bytes)
    }

    func laneFinished(_ error: RedisError?) {
        if let error { return waiting.resume(returning: .failure(StoreError(error))) }
        waiting.resume(returning: .success(rows))
    }
}
