import FeatureModel

/// Everything a `MemoryStore` holds, and the rules of its rows. Time is an argument; the store keeps this in a `Mutex`.
struct MemoryState: Sendable {
    struct Row: Sendable {
        var bytes: [UInt8]
        var expiresAt: ContinuousClock.Instant
        /// The row's place in its space's log.
        let sequence: UInt64
    }

    /// The rows of one version of one view.
    struct Space: Sendable {
        var rows: [EntityKey: Row] = [:]
        /// Rows in the order of their creation, for scans. Entries whose row has another sequence by now are dead.
        var log: [(sequence: UInt64, key: EntityKey)] = []
    }

    /// What a loss takes away and a snapshot keeps.
    struct Contents: Sendable {
        var spaces: [KeySpace: Space] = [:]
        var markers: [KeySpace: Marker] = [:]
        var leases: [String: LeaseRecord] = [:]
        var documents: [String: Document] = [:]
        var journals: [String: [[UInt8]]] = [:]
        var collections: [String: [String: [UInt8]]] = [:]
        var rowCount = 0
        var usedBytes = 0
        var lastSequence: UInt64 = 0
    }

    struct LeaseRecord: Sendable {
        let owner: String
        let token: Int64
        /// `nil` once released.
        var expiresAt: ContinuousClock.Instant?
    }

    /// What a row takes beside its bytes and those of its key, about.
    private static let rowOverhead = 64

    let limits: MemoryStore.Limits
    var contents = Contents()
    var isClosed = false
    /// Changes when contents are lost or replaced, which ends all sessions.
    var generation = 0
    /// Outlives a loss, like the clock it stands for.
    var lastToken: Int64 = 0
    /// Before this instant no row expires that hasn't been swept away.
    private var nextExpiry: ContinuousClock.Instant?

    init(limits: MemoryStore.Limits) {
        self.limits = limits
    }

    mutating func replaceContents(_ contents: Contents) {
        self.contents = contents
        generation += 1
        nextExpiry = contents.spaces.values.lazy.flatMap(\.rows.values).map(\.expiresAt).min()
    }

    /// Takes in `bytes` more, or gives some back.
    ///
    /// - Throws: `writesRefused` when the store would exceed its limit.
    mutating func charge(_ bytes: Int) throws(StoreError) {
        guard bytes <= 0 || contents.usedBytes + bytes <= limits.bytes else {
            throw StoreError(.writesRefused, "the memory store is full")
        }
        contents.usedBytes += bytes
    }
}

extension MemoryState {
    /// The row, unless it has expired, which takes it out.
    mutating func row(_ key: EntityKey, _ space: KeySpace, at now: ContinuousClock.Instant) -> Row? {
        guard let row = contents.spaces[space]?.rows[key] else { return nil }
        guard row.expiresAt <= now else { return row }
        drop(key, space)
        return nil
    }

    mutating func write(
        _ batch: RowBatch, _ space: KeySpace, _ mode: WriteMode, at now: ContinuousClock.Instant
    ) throws(StoreError) -> [WriteOutcome] {
        var outcomes: [WriteOutcome] = []
        outcomes.reserveCapacity(batch.count)
        for index in 0..<batch.count {
            let key = batch.keys[index]
            let new = batch.row(index)
            let expiresAt = now.advanced(by: .milliseconds(max(1, batch.ttlMilliseconds[index])))
            let stored = row(key, space, at: now)
            let decision = try decide(stored, new, mode)
            switch decision.action {
            case .keep: break
            case .renewExpiry: contents.spaces[space]?.rows[key]?.expiresAt = expiresAt
            case .put: try put(key, space, Array(new), expiresAt, replacing: stored, at: now)
            }
            outcomes.append(decision.outcome)
        }
        return outcomes
    }

    private func decide(
        _ stored: Row?, _ new: ArraySlice<UInt8>, _ mode: WriteMode
    ) throws(StoreError) -> RowPrecedence {
        guard let stored else { return try RowPrecedence.decide(stored: nil, new: new.span, mode: mode) }
        return try RowPrecedence.decide(stored: stored.bytes.span, new: new.span, mode: mode)
    }

    private mutating func put(
        _ key: EntityKey, _ space: KeySpace, _ bytes: [UInt8], _ expiresAt: ContinuousClock.Instant,
        replacing stored: Row?, at now: ContinuousClock.Instant
    ) throws(StoreError) {
        let growth = stored.map { bytes.count - $0.bytes.count } ?? cost(key, bytes)
        let isFull =
            contents.usedBytes + growth > limits.bytes || (stored == nil && contents.rowCount >= limits.rows)
        if isFull { dropExpired(at: now) }
        guard stored != nil || contents.rowCount < limits.rows else {
            throw StoreError(.writesRefused, "the memory store has all the rows it may have")
        }
        try charge(growth)
        nextExpiry = min(nextExpiry ?? expiresAt, expiresAt)
        if let stored {
            contents.spaces[space]?.rows[key] = Row(bytes: bytes, expiresAt: expiresAt, sequence: stored.sequence)
            return
        }
        contents.rowCount += 1
        contents.lastSequence += 1
        let row = Row(bytes: bytes, expiresAt: expiresAt, sequence: contents.lastSequence)
        contents.spaces[space, default: Space()].add(key, row)
    }

    mutating func remove(_ keys: [EntityKey], _ space: KeySpace, at now: ContinuousClock.Instant) -> Int {
        var count = 0
        for key in keys where row(key, space, at: now) != nil {
            drop(key, space)
            count += 1
        }
        return count
    }

    private mutating func drop(_ key: EntityKey, _ space: KeySpace) {
        guard let row = contents.spaces[space]?.rows.removeValue(forKey: key) else { return }
        contents.rowCount -= 1
        contents.usedBytes -= cost(key, row.bytes)
        if contents.spaces[space]?.rows.isEmpty == true { contents.spaces[space] = nil }
    }

    /// Sweeps away what has expired, unless nothing can have.
    private mutating func dropExpired(at now: ContinuousClock.Instant) {
        guard let earliest = nextExpiry, earliest <= now else { return }
        for (space, rows) in contents.spaces {
            for (key, row) in rows.rows where row.expiresAt <= now { drop(key, space) }
        }
        nextExpiry = contents.spaces.values.lazy.flatMap(\.rows.values).map(\.expiresAt).min()
    }

    private func cost(_ key: EntityKey, _ bytes: [UInt8]) -> Int {
        key.text.utf8.count + bytes.count + Self.rowOverhead
    }
}

extension MemoryState {
    /// The cursor is the sequence of the last row given, so rows that come during a pass are given too.
    func scan(
        _ space: KeySpace, from cursor: ScanCursor, limit: Int, at now: ContinuousClock.Instant
    ) throws(StoreError) -> ScanPage {
        guard let last = cursor == .start ? 0 : UInt64(cursor.text) else {
            throw StoreError(.corrupt, "not a scan cursor of this store")
        }
        guard let rows = contents.spaces[space] else { return ScanPage(keys: [], next: nil) }
        var keys: [EntityKey] = []
        for entry in rows.log[rows.firstIndex(after: last)...] {
            guard let row = rows.rows[entry.key], row.sequence == entry.sequence, row.expiresAt > now else { continue }
            keys.append(entry.key)
            if keys.count >= max(1, limit) {
                return ScanPage(keys: keys, next: ScanCursor(text: String(entry.sequence)))
            }
        }
        return ScanPage(keys: keys, next: nil)
    }
}

extension MemoryState.Space {
    mutating func add(_ key: EntityKey, _ row: MemoryState.Row) {
        rows[key] = row
        log.append((row.sequence, key))
        // Dead entries never outnumber rows for long.
        guard log.count > 2 * rows.count + 64 else { return }
        log.removeAll { rows[$0.key]?.sequence != $0.sequence }
    }

    /// Where the entries behind a sequence begin: the log is sorted by it.
    func firstIndex(after sequence: UInt64) -> Int {
        var low = 0
        var high = log.count
        while low < high {
            let middle = (low + high) / 2
            if log[middle].sequence <= sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
