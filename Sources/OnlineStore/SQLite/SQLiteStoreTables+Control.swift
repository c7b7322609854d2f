import FeatureModel
import LocalDatabase

// Leases, markers, documents, journals and collections.
extension SQLiteStoreTables {
    private func scoped(_ name: String) -> [SQLiteValue] { [.text(project), .text(name)] }

    // MARK: Leases

    func acquireLease(_ name: String, owner: String, duration: Duration) throws -> Lease? {
        if let holder = try leaseHolder(name), holder.owner != owner { return nil }
        let token = max((try newestToken(name) ?? 0) + 1, now / 1_000)
        try connection.statement(
            "REPLACE INTO leases(project, name, owner, token, expires) VALUES (?, ?, ?, ?, ?)"
        ).run(scoped(name) + [.text(owner), .integer(token), .integer(end(of: duration))])
        return Lease(name: name, owner: owner, token: token)
    }

    private func end(of duration: Duration) -> Int64 {
        now + min(max(0, duration.wholeMilliseconds), 1 << 50)
    }

    private func newestToken(_ name: String) throws -> Int64? {
        let rows = try connection.rows("SELECT token FROM leases WHERE project = ? AND name = ?", scoped(name))
        guard case .integer(let token)? = rows.first?.first else { return nil }
        return token
    }

    func leaseHolder(_ name: String) throws -> Lease? {
        let rows = try connection.rows(
            "SELECT owner, token FROM leases WHERE project = ? AND name = ? AND expires > ?",
            scoped(name) + [.integer(now)])
        guard let row = rows.first, case .text(let owner) = row[0], case .integer(let token) = row[1] else {
            return nil
        }
        return Lease(name: name, owner: owner, token: token)
    }

    func renewLease(_ lease: Lease, duration: Duration) throws -> Bool {
        try setLeaseEnd(lease, .integer(end(of: duration)))
    }

    /// The record stays: its token fences who held the lease before.
    func releaseLease(_ lease: Lease) throws {
        _ = try setLeaseEnd(lease, .null)
    }

    private func setLeaseEnd(_ lease: Lease, _ end: SQLiteValue) throws -> Bool {
        guard try leaseHolder(lease.name) == lease else { return false }
        try connection.statement("UPDATE leases SET expires = ? WHERE project = ? AND name = ?").run(
            [end] + scoped(lease.name))
        return true
    }

    /// - Throws: `fenced` when the lease was taken again since.
    func requireNewest(_ lease: Lease) throws {
        guard (try newestToken(lease.name) ?? 0) <= lease.token else {
            throw StoreError(.fenced, "a newer lease exists")
        }
    }

    // MARK: Markers

    func marker(_ space: KeySpace) throws -> Marker? {
        guard let id = try spaceID(space) else { return nil }
        let statement = try connection.statement("SELECT sequence, bytes FROM markers WHERE space = ?")
        try statement.bind([.integer(id)])
        guard try statement.step() else { return nil }
        defer { statement.reset() }
        return Marker(sequence: statement.integer(0), bytes: statement.blob(1))
    }

    func advance(_ space: KeySpace, to marker: Marker, _ lease: Lease) throws {
        try requireNewest(lease)
        guard (try self.marker(space)?.sequence ?? 0) == marker.sequence &- 1 else {
            throw StoreError(.markerMoved, "the marker is not where this writer left it")
        }
        try connection.statement("REPLACE INTO markers(space, sequence, bytes) VALUES (?, ?, ?)").run([
            .integer(try makeSpaceID(space)), .integer(marker.sequence), .blob(marker.bytes),
        ])
    }

    // MARK: Documents

    func document(_ name: String) throws -> Document? {
        let statement = try connection.statement(
            "SELECT revision, bytes FROM documents WHERE project = ? AND name = ?")
        try statement.bind(scoped(name))
        guard try statement.step() else { return nil }
        defer { statement.reset() }
        return Document(bytes: statement.blob(1), revision: statement.integer(0))
    }

    func replaceDocument(_ name: String, _ bytes: [UInt8], expecting revision: Int64) throws -> Bool {
        guard (try document(name)?.revision ?? 0) == revision else { return false }
        try connection.statement(
            "REPLACE INTO documents(project, name, revision, bytes) VALUES (?, ?, ?, ?)"
        ).run(scoped(name) + [.integer(revision + 1), .blob(bytes)])
        return true
    }

    // MARK: Journals

    func append(_ entry: [UInt8], to journal: String, limit: Int) throws {
        let rows = try connection.rows(
            "SELECT max(number) FROM journals WHERE project = ? AND name = ?", scoped(journal))
        var number: Int64 = 1
        if case .integer(let last)? = rows.first?.first { number = last + 1 }
        try connection.statement("INSERT INTO journals(project, name, number, bytes) VALUES (?, ?, ?, ?)").run(
            scoped(journal) + [.integer(number), .blob(entry)])
        try connection.statement("DELETE FROM journals WHERE project = ? AND name = ? AND number <= ?").run(
            scoped(journal) + [.integer(number - Int64(max(1, limit)))])
    }

    func entries(of journal: String, limit: Int) throws -> [[UInt8]] {
        let statement = try connection.statement(
            "SELECT bytes FROM journals WHERE project = ? AND name = ? ORDER BY number DESC LIMIT ?")
        try statement.bind(scoped(journal) + [.integer(Int64(max(0, limit)))])
        var entries: [[UInt8]] = []
        while try statement.step() { entries.append(statement.blob(0)) }
        return entries
    }

    // MARK: Collections

    /// - Throws: `CollectionFull`, which takes the transaction back.
    func put(_ fields: [String: [UInt8]], into collection: String, limit: Int) throws {
        let put = try connection.statement(
            "REPLACE INTO collections(project, name, field, bytes) VALUES (?, ?, ?, ?)")
        for (field, bytes) in fields { try put.run(scoped(collection) + [.text(field), .blob(bytes)]) }
        guard try fieldCount(of: collection) <= limit else { throw CollectionFull() }
    }

    struct CollectionFull: Error {}

    func values(of fields: [String], in collection: String) throws -> [[UInt8]?] {
        let statement = try connection.statement(
            "SELECT bytes FROM collections WHERE project = ? AND name = ? AND field = ?")
        return try fields.map { field in
            try statement.bind(scoped(collection) + [.text(field)])
            defer { statement.reset() }
            return try statement.step() ? statement.blob(0) : nil
        }
    }

    func fields(of collection: String) throws -> [String: [UInt8]] {
        let statement = try connection.statement(
            "SELECT field, bytes FROM collections WHERE project = ? AND name = ?")
        try statement.bind(scoped(collection))
        var fields: [String: [UInt8]] = [:]
        while try statement.step() { fields[statement.text(0)] = statement.blob(1) }
        return fields
    }

    func fieldCount(of collection: String) throws -> Int {
        let rows = try connection.rows(
            "SELECT count(*) FROM collections WHERE project = ? AND name = ?", scoped(collection))
        guard case .integer(let count)? = rows.first?.first else { return 0 }
        return Int(count)
    }

    func removeFields(_ fields: [String], from collection: String) throws {
        let delete = try connection.statement(
            "DELETE FROM collections WHERE project = ? AND name = ? AND field = ?")
        for field in fields { try delete.run(scoped(collection) + [.text(field)]) }
    }
}
