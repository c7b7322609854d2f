/// How far one version of a view got. It lies in the store behind the rows it speaks of (`Marker`).
package struct MarkerState: Codable, Hashable, Sendable {
    /// What the engine is doing with the version.
    package enum Phase: String, Codable, Sendable {
        /// Walking all entities for the first time (or again after a history break).
        case loading
        /// Following changes from `cursor`.
        case following
    }

    /// A sweep under way.
    package struct Sweep: Codable, Hashable, Sendable {
        /// Microseconds since 1970.
        package var startedAt: Int64
        /// The position of the sweep's first page: rows the sweep has seen stand at it or behind it.
        package var startPosition: UInt64
        /// The last entity walked, canonical; `nil` before the first.
        package var after: String?
        /// Set once all entities are walked: where the search for rows without a source goes on.
        package var orphanScan: String?
        package var counts = SweepCounts()

        package init(startedAt: Int64, startPosition: UInt64) {
            self.startedAt = startedAt
            self.startPosition = startPosition
        }
    }

    package var sequence: Int64 = 0
    /// The lease under which it was written.
    package var token: Int64 = 0
    package var epoch: UInt16 = 1
    package var historyIdentity: String
    /// The source's horizon when last seen; `nil` for readers that are not exact.
    package var historyEnd: UInt64?
    package var phase: Phase
    /// Changes up to here are in the store.
    package var cursor: String
    /// In `loading`: the last entity loaded.
    package var loadAfter: String?
    package var loadedRows: Int64 = 0
    package var sweep: Sweep?
    /// Microseconds since 1970; a completed first load counts as a sweep.
    package var lastSweepAt: Int64?
    /// Set after a history break: the next sweep must not wait for its interval.
    package var sweepNow = false
    /// Entities with a row, as the last full walk counted them.
    package var rowCount: Int64?
    /// Of all rows written: microseconds since 1970.
    package var newestEventTime: Int64?
    /// Microseconds since 1970.
    package var updatedAt: Int64 = 0
    /// When a pass last ended well; microseconds since 1970.
    package var lastSuccessAt: Int64?

    package init(historyIdentity: String, historyEnd: UInt64?, phase: Phase, cursor: String) {
        self.historyIdentity = historyIdentity
        self.historyEnd = historyEnd
        self.phase = phase
        self.cursor = cursor
    }

    /// The stored marker as a state.
    package static func decode(_ marker: Marker) throws(StoreError) -> MarkerState {
        try ControlDocument.decode(MarkerState.self, from: marker.bytes)
    }

    /// The state as it is stored.
    package func marker() throws(StoreError) -> Marker {
        Marker(sequence: sequence, bytes: try ControlDocument.encode(self))
    }

    /// Notes event times that were written.
    package mutating func saw(eventTimes: [Int64]) {
        guard let newest = eventTimes.max() else { return }
        newestEventTime = max(newestEventTime ?? newest, newest)
    }
}

/// What a sweep found, row by row.
package struct SweepCounts: Codable, Hashable, Sendable {
    package var checked: Int64 = 0
    /// The source has a row that the store lacked.
    package var missing: Int64 = 0
    /// The store had other content.
    package var different: Int64 = 0
    /// The store had a row that the source no longer has.
    package var orphaned: Int64 = 0
    /// The store has something newer: a change that arrived meanwhile.
    package var newer: Int64 = 0
    package var renewed: Int64 = 0
    package var quarantined: Int64 = 0

    package init() {}

    /// How many rows were not as the source has them.
    package var mismatches: Int64 { missing + different + orphaned }
}
