import FeatureModel
import LocalDatabase

/// The store's tables inside one transaction.
struct SQLiteStoreTables {
    let connection: SQLiteConnection
    let project: String
    /// Milliseconds since 1970, the same for the whole transaction.
    let now: Int64

    // MARK: Spaces

    func spaceID(_ space: KeySpace) throws -> Int64? {
        let rows = try connection.rows(
            "SELECT id FROM spaces WHERE project = ? AND view = ? AND version = ?",
            [.text(space.project), .text(space.viewKey), .integer(Int64(space.version))])
        guard case .integer(let id)? = rows.first?.first else { return nil }
        return id
    }

    func makeSpaceID(_ space: KeySpace) throws -> Int64 {
        if let id = try spaceID(space) { return id }
        try connection.statement("INSERT INTO spaces(project, view, version) VALUES (?, ?, ?)").run([
            .text(space.project), .text(space.viewKey), .integer(Int64(space.version)),
        ])
        guard let id = try spaceID(space) else { throw StoreError(.corrupt, "a space can't be made") }
        return id
    }

    // MARK: Rows

    func read(_ keys: [EntityKey], _ space: KeySpace) throws -> [[UInt8]?] {
        guard let id = try spaceID(space) else { return keys.map { _ in nil } }
        let statement = try connection.statement(Self.selectRow)
        var rows: [[UInt8]?] = []
        rows.reserveCapacity(keys.count)
        for key in keys {
            try bind(key, id, statement)
            rows.append(try statement.step() ? statement.blob(0) : nil)
            statement.reset()
        }
        return rows
    }

    private static let selectRow = "SELECT value, expires FROM rows WHERE space = ? AND entity = ? AND expires > ?"

    private func bind(_ key: EntityKey, _ space: Int64, _ statement: SQLiteStatement) throws {
        try statement.bind(.integer(space), at: 1)
        try statement.bind(.text(key.text), at: 2)
        try statement.bind(.integer(now), at: 3)
    }

    func inspect(_ key: EntityKey, _ space: KeySpace) throws -> StoredRow? {
        guard let id = try spaceID(space) else { return nil }
        let statement = try connection.statement(Self.selectRow)
        try bind(key, id, statement)
        guard try statement.step() else { return nil }
        defer { statement.reset() }
        return StoredRow(bytes: statement.blob(0), remaining: .milliseconds(statement.integer(1) - now))
    }

    /// The cursor is the last entity given: entities come in byte order.
    func scan(_ space: KeySpace, from cursor: ScanCursor, limit: Int) throws -> ScanPage {
        guard let id = try spaceID(space) else { return ScanPage(keys: [], next: nil) }
        let limit = min(max(1, limit), 100_000)
        let statement = try connection.statement(
            "SELECT entity FROM rows WHERE space = ? AND entity > ? AND expires > ? ORDER BY entity LIMIT ?")
        try statement.bind([.integer(id), .text(cursor.text), .integer(now), .integer(Int64(limit))])
        var keys: [EntityKey] = []
        while try statement.step() { keys.append(EntityKey(canonical: statement.text(0))) }
        return ScanPage(keys: keys, next: keys.count < limit ? nil : keys.last.map { ScanCursor(text: $0.text) })
    }

    func remove(_ keys: [EntityKey], _ space: KeySpace) throws -> Int {
        guard let id = try spaceID(space) else { return 0 }
        let select = try connection.statement(Self.selectRow)
        let delete = try connection.statement("DELETE FROM rows WHERE space = ? AND entity = ?")
        var count = 0
        for key in keys {
            try bind(key, id, select)
            if try select.step() { count += 1 }
            select.reset()
            try delete.run([.integer(id), .text(key.text)])
        }
        return count
    }

    func write(_ batch: RowBatch, _ space: KeySpace, _ mode: WriteMode) throws -> [WriteOutcome] {
        var outcomes: [WriteOutcome] = []
        outcomes.reserveCapacity(batch.count)
        let isComparison = if case .compare = mode { true } else { false }
        let id = isComparison ? try spaceID(space) ?? 0 : try makeSpaceID(space)
        let select = try connection.statement(Self.selectRow)
        let put = try connection.statement("REPLACE INTO rows(space, entity, expires, value) VALUES (?, ?, ?, ?)")
        let renew = try connection.statement("UPDATE rows SET expires = ? WHERE space = ? AND entity = ?")
        for index in 0..<batch.count {
            let (key, new) = (batch.keys[index], batch.row(index))
            let expires = Self.expiry(now, batch.ttlMilliseconds[index])
            try bind(key, id, select)
            let decision = try decide(select, new, mode)
            select.reset()
            switch decision.action {
            case .keep: break
            case .renewExpiry:
                try renew.run([.integer(expires), .integer(id), .text(key.text)])
            case .put:
                put.reset()
                try put.bind([.integer(id), .text(key.text), .integer(expires)])
                try put.bind(bytes: new.span, at: 4)
                while try put.step() {}
            }
            outcomes.append(decision.outcome)
        }
        return outcomes
    }

    private static func expiry(_ now: Int64, _ ttl: Int64) -> Int64 {
        let (expires, overflow) = now.addingReportingOverflow(max(1, ttl))
        return overflow ? .max : expires
    }

    private func decide(
        _ select: SQLiteStatement, _ new: ArraySlice<UInt8>, _ mode: WriteMode
    ) throws -> RowPrecedence {
        guard try select.step() else { return try RowPrecedence.decide(stored: nil, new: new.span, mode: mode) }
        let decision = select.withBytes(0) { stored -> Result<RowPrecedence, StoreError> in
            do throws(StoreError) {
                return .success(try RowPrecedence.decide(stored: stored, new: new.span, mode: mode))
            } catch {
                return .failure(error)
            }
        }
        return try decision.get()
    }

    // MARK: Purging

    /// How many rows one slice of the purge looks at.
    static let purgeSlice = 512

    /// Looks at the rows behind `place` and deletes those that have expired. Returns where the next slice begins: the
    /// start again behind the last row.
    func purge(behind place: PurgePlace) throws -> PurgePlace {
        let statement = try connection.statement(
            "SELECT space, entity, expires FROM rows WHERE (space, entity) > (?, ?) ORDER BY space, entity LIMIT ?")
        try statement.bind([.integer(place.space), .text(place.entity), .integer(Int64(Self.purgeSlice))])
        var next = PurgePlace()
        var count = 0
        var expired: [PurgePlace] = []
        while try statement.step() {
            next = PurgePlace(space: statement.integer(0), entity: statement.text(1))
            count += 1
            if statement.integer(2) <= now { expired.append(next) }
        }
        let delete = try connection.statement("DELETE FROM rows WHERE space = ? AND entity = ?")
        for row in expired { try delete.run([.integer(row.space), .text(row.entity)]) }
        return count < Self.purgeSlice ? PurgePlace() : next
    }

    /// How far the purge has got.
    struct PurgePlace: Sendable {
        var space: Int64 = .min
        var entity = ""
    }
}
