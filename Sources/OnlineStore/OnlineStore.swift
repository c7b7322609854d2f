package import FeatureModel

/// A home of rows. Three stand behind this protocol (Redis, SQLite, memory) and pass one conformance suite.
///
/// Rows are opaque here but for the order in their header, which decides what wins. Every call has a deadline of the
/// store's own configuration; none waits longer.
package protocol OnlineStore: Sendable {
    /// Reads rows. The answer has one element a key, in the order asked: the packed bytes, or `nil` where none is stored.
    func read(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> [[UInt8]?]

    /// Reads one row and how long it has to live. `remaining` is `nil` for a row without expiry.
    func inspect(_ key: EntityKey, in space: KeySpace) async throws(StoreError) -> StoredRow?

    /// Lists entities that have a row in the space, tombstones too, in no particular order; some may come twice.
    ///
    /// A pass that ends with `next == nil` has returned every row that was there from its beginning to its end.
    func scan(_ space: KeySpace, from cursor: ScanCursor, limit: Int) async throws(StoreError) -> ScanPage

    /// Removes rows without leaving a tombstone, from any version: for erasure only. Returns how many went.
    func remove(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> Int

    /// Opens a session in which one lease holder writes. See `StoreSession`.
    func openSession(_ lease: Lease) async throws(StoreError) -> any StoreSession

    /// Takes the lease `name` for `owner` if it is free, expired or its own. The token is larger than any before it, also
    /// over a loss of the store: it is never below the store's clock in seconds since 1970.
    ///
    /// - Returns: `nil` when another owner holds it.
    func acquireLease(_ name: String, owner: String, duration: Duration) async throws(StoreError) -> Lease?

    /// Makes the lease last `duration` from now. `false` when it was lost to another owner or with the store.
    func renewLease(_ lease: Lease, duration: Duration) async throws(StoreError) -> Bool

    /// Gives the lease back if it is still held.
    func releaseLease(_ lease: Lease) async throws(StoreError)

    /// Who holds the lease now, if anyone.
    func leaseHolder(_ name: String) async throws(StoreError) -> Lease?

    /// A control document (catalog, version pointers, marker, pause): its bytes and revision; `nil` where there is none.
    func document(_ name: String) async throws(StoreError) -> Document?

    /// Control documents, one element each in the order asked; in one round trip where the store can.
    func documents(_ names: [String]) async throws(StoreError) -> [Document?]

    /// Replaces a control document if its revision is still `revision` (0: there is none yet).
    ///
    /// - Returns: `false` when it has another revision by now; nothing is changed then.
    func replaceDocument(_ name: String, bytes: [UInt8], expecting revision: Int64) async throws(StoreError) -> Bool

    /// Appends to a journal that keeps its newest `limit` entries.
    func append(_ entry: [UInt8], to journal: String, limit: Int) async throws(StoreError)

    /// The newest entries of a journal, newest first.
    func entries(of journal: String, limit: Int) async throws(StoreError) -> [[UInt8]]

    /// Puts fields into a collection that holds at most `limit` fields; existing ones are replaced.
    ///
    /// - Returns: `false`, with nothing put, when the collection would exceed the limit.
    func put(_ fields: [String: [UInt8]], into collection: String, limit: Int) async throws(StoreError) -> Bool

    /// The values of fields, one element each in the order asked.
    func values(of fields: [String], in collection: String) async throws(StoreError) -> [[UInt8]?]

    /// Every field of a collection. Bounded by the limit it was filled under.
    func fields(of collection: String) async throws(StoreError) -> [String: [UInt8]]

    /// How many fields a collection has.
    func fieldCount(of collection: String) async throws(StoreError) -> Int

    /// Takes fields out of a collection.
    func removeFields(_ fields: [String], from collection: String) async throws(StoreError)

    /// What `tidemark doctor` wants to know of the store.
    func diagnose() async throws(StoreError) -> [StoreFinding]

    /// Bytes the store uses in all, where it can tell.
    func usedBytes() async throws(StoreError) -> Int64?

    /// Closes connections and files. Calls after it fail with `unavailable`.
    func close() async
}

extension OnlineStore {
    package func documents(_ names: [String]) async throws(StoreError) -> [Document?] {
        var documents: [Document?] = []
        for name in names { documents.append(try await document(name)) }
        return documents
    }
}

/// The writes of one lease holder over one unbroken connection.
///
/// A session ends for good (`sessionLost`) with its connection: what was acknowledged before and what is marked behind it
/// can then not be told apart from a store that lost its tail, so the caller opens another and resumes from the marker.
package protocol StoreSession: Sendable {
    /// What the session writes under.
    var lease: Lease { get }

    /// Writes rows under the rules of `mode`; one outcome a row, in order. Rows of one batch are of distinct entities.
    ///
    /// `newest` and `repair` are fenced: they throw `fenced`, with nothing written by that call of the store's own, when the
    /// lease's token is no longer the newest.
    func write(_ batch: RowBatch, in space: KeySpace, mode: WriteMode) async throws(StoreError) -> [WriteOutcome]

    /// The marker of a view's version; on several shards the lowest.
    func marker(_ space: KeySpace) async throws(StoreError) -> Marker?

    /// Writes the marker behind the rows acknowledged in this session.
    ///
    /// - Throws: `fenced` when a newer lease exists; `markerMoved` when the stored sequence isn't `sequence - 1`
    ///   (0 counts as stored where there is no marker).
    func advance(_ space: KeySpace, to marker: Marker) async throws(StoreError)

    /// Ends the session.
    func close() async
}

/// How a write treats what is stored.
package enum WriteMode: Sendable {
    /// Newest wins by `RowOrder`. Fenced.
    case newest
    /// The source's truth, just read: wins over everything whose position is not later. Fenced.
    case repair
    /// Writes nothing; the outcomes tell what `repair` would have done.
    case compare
    /// A row that a caller pushed past the source: the event time decides. Not fenced, so it needs no lease. The row
    /// carries the epoch and position of the one it replaces, 0 for none; `conflict` when that is no longer what is stored.
    case push
}

/// What became of one row. The raw values are what the Redis script answers.
package enum WriteOutcome: UInt8, Sendable, CaseIterable {
    /// Something newer is stored; nothing changed.
    case older = 0
    /// There was no row.
    case created = 1
    /// The same content was stored; order and expiry were renewed.
    case renewed = 2
    /// Other content was replaced.
    case replaced = 3
    /// Same order, other content: the stored row was kept. Only in `newest`, and in `push` when the stored row has a later
    /// place than the new one carries.
    case conflict = 4
}

/// Packed rows of one view on their way into a store.
package struct RowBatch: Sendable {
    package private(set) var keys: [EntityKey] = []
    /// All packed rows, one after the other.
    package private(set) var bytes: [UInt8] = []
    /// Where each row ends in `bytes`.
    package private(set) var ends: [Int] = []
    /// How long each row lives when nothing touches it, in milliseconds; > 0.
    package private(set) var ttlMilliseconds: [Int64] = []

    package init() {}

    /// How many rows it has.
    package var count: Int { keys.count }

    /// Reserves room for `rows` rows of about `bytesPerRow` bytes.
    package mutating func reserve(rows: Int, bytesPerRow: Int) {
        keys.reserveCapacity(rows)
        ends.reserveCapacity(rows)
        ttlMilliseconds.reserveCapacity(rows)
        bytes.reserveCapacity(rows * bytesPerRow)
    }

    /// Adds a row; `encode` appends its packed bytes.
    package mutating func append<Failure: Error>(
        _ key: EntityKey, ttlMilliseconds ttl: Int64, encode: (inout [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        let start = bytes.count
        do {
            try encode(&bytes)
        } catch {
            bytes.removeSubrange(start...)
            throw error
        }
        keys.append(key)
        ends.append(bytes.count)
        ttlMilliseconds.append(ttl)
    }

    /// Where row `index` lies in `bytes`.
    package func range(_ index: Int) -> Range<Int> {
        (index == 0 ? 0 : ends[index - 1])..<ends[index]
    }

    /// The packed bytes of row `index`.
    package func row(_ index: Int) -> ArraySlice<UInt8> {
        bytes[range(index)]
    }
}

/// A row as it lies in the store.
package struct StoredRow: Sendable {
    package let bytes: [UInt8]
    /// `nil` for a row without expiry.
    package let remaining: Duration?

    package init(bytes: [UInt8], remaining: Duration?) {
        self.bytes = bytes
        self.remaining = remaining
    }
}

/// The right to write, until it expires. A larger token is a later holder.
package struct Lease: Hashable, Sendable {
    package let name: String
    package let owner: String
    package let token: Int64

    package init(name: String, owner: String, token: Int64) {
        self.name = name
        self.owner = owner
        self.token = token
    }
}

/// How far a view's version got: opaque to the store but for its sequence.
package struct Marker: Hashable, Sendable {
    /// Counts up by one with each `advance`.
    package let sequence: Int64
    package let bytes: [UInt8]

    package init(sequence: Int64, bytes: [UInt8]) {
        self.sequence = sequence
        self.bytes = bytes
    }
}

/// A control document.
package struct Document: Hashable, Sendable {
    package let bytes: [UInt8]
    /// Counts up from 1 with each replacement.
    package let revision: Int64

    package init(bytes: [UInt8], revision: Int64) {
        self.bytes = bytes
        self.revision = revision
    }
}

/// Where a scan goes on. `start` begins one.
package struct ScanCursor: Hashable, Sendable {
    package let text: String

    package init(text: String) {
        self.text = text
    }

    package static let start = ScanCursor(text: "")
}

/// Part of a scan.
package struct ScanPage: Sendable {
    package let keys: [EntityKey]
    /// `nil` at the end.
    package let next: ScanCursor?

    package init(keys: [EntityKey], next: ScanCursor?) {
        self.keys = keys
        self.next = next
    }
}

/// One thing `tidemark doctor` found in the store.
package struct StoreFinding: Sendable {
    /// How bad it is.
    package enum Grade: String, Sendable {
        case good
        case warning
        case bad
    }

    package let check: String
    package let grade: Grade
    /// What was found and, unless it is good, what to do.
    package let text: String

    package init(check: String, grade: Grade, text: String) {
        self.check = check
        self.grade = grade
        self.text = text
    }
}
