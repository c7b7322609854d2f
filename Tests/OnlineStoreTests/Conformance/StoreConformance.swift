import FeatureModel
import OnlineStore
import RowCodec
import Synchronization
import Testing

/// What every home of rows promises: the documentation of `OnlineStore`, sentence by sentence. Run over all `StoreHome`s.
@Suite(.timeLimit(.minutes(5)))
struct StoreConformance {
    private static let numbers = Atomic(0)
    private static let run = UInt32.random(in: .min ... .max)

    /// A name that no other test and no other run uses: `[a-z0-9]`.
    static func uniqueName() -> String {
        let number = numbers.wrappingAdd(1, ordering: .relaxed).newValue
        return "t\(String(run, radix: 36))x\(number)"
    }

    /// A space of rows that no other test uses.
    static func uniqueSpace() -> KeySpace { KeySpace(project: uniqueName(), viewKey: "users", version: 1) }

    /// A session with a lease of its own.
    static func openSession(_ store: any OnlineStore) async throws -> any StoreSession {
        let lease = try #require(
            await store.acquireLease(uniqueName(), owner: "writer", duration: .seconds(600)))
        return try await store.openSession(lease)
    }

    /// Asks again and again until the store's own clock has moved on, a bounded number of times.
    static func becomesTrue(_ condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<500_000 {
            if try await condition() { return true }
            await Task.yield()
        }
        return false
    }

    static func entity(_ number: Int) -> EntityKey { EntityKey(canonical: String(number)) }
}

/// One row as a test states it.
struct RowSample: Sendable, Hashable {
    var epoch: UInt16 = 0
    var eventTime: Int64?
    var position: UInt64 = 1
    /// `nil` for a tombstone.
    var value: Int64?
    /// Whether a caller pushed it, past the source.
    var isPushed = false

    private static let view = FeatureView(
        name: "users", entity: Entity(name: "user", keys: [.init(name: "id", type: .string)]),
        source: ViewSource(
            from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "users", keyColumns: ["id"]))),
        every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800),
        features: [Feature(name: "value", type: .scalar(.int64))])
    private static let encoder = RowEncoder(view: view)
    private static let decoder = RowDecoder(view: view)

    var order: RowOrder { RowOrder(epoch: epoch, eventTime: eventTime, position: position) }

    func append(_ key: EntityKey, to bytes: inout [UInt8]) throws(RowCodecError) {
        if let value {
            try Self.encoder.encode(key: key, order: order, values: [.int64(value)], isPushed: isPushed, into: &bytes)
        } else {
            Self.encoder.encodeTombstone(key: key, order: order, into: &bytes)
        }
    }

    func packed(_ key: EntityKey) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try append(key, to: &bytes)
        return bytes
    }

    init(
        epoch: UInt16 = 0, eventTime: Int64? = nil, position: UInt64 = 1, value: Int64?, isPushed: Bool = false
    ) {
        self.isPushed = isPushed
        self.epoch = epoch
        self.eventTime = eventTime
        self.position = position
        self.value = value
    }

    /// Reads a stored row back; the check shows that it is the entity's.
    init(_ bytes: [UInt8], _ key: EntityKey) throws {
        let row = try Self.decoder.decode(bytes, key: key)
        self.init(
            epoch: row.order.epoch, eventTime: row.order.eventTime, position: row.order.position,
            value: nil)
        if case .int64(let number) = row.values.first { value = number }
        isPushed = RowFlags(rawValue: bytes[0] & 15).contains(.pushed)
    }
}

extension RowBatch {
    init(_ rows: [(key: EntityKey, row: RowSample)], ttl: Duration = .seconds(3_600)) throws {
        self.init()
        for (key, row) in rows {
            try append(key, ttlMilliseconds: ttl.wholeMilliseconds) { bytes throws(RowCodecError) in
                try row.append(key, to: &bytes)
            }
        }
    }
}

extension StoreSession {
    /// Writes one row.
    func write(
        _ key: EntityKey, _ row: RowSample, in space: KeySpace, mode: WriteMode = .newest,
        ttl: Duration = .seconds(3_600)
    ) async throws -> WriteOutcome? {
        try await write(RowBatch([(key, row)], ttl: ttl), in: space, mode: mode).first
    }
}

extension OnlineStore {
    /// Reads one row as a test states it.
    func row(_ key: EntityKey, in space: KeySpace) async throws -> RowSample? {
        try await read([key], in: space).first.flatMap { $0 }.map { try RowSample($0, key) }
    }

    /// All entities of a space, from pages of at most `limit` as far as the store heeds it.
    func scanAll(_ space: KeySpace, limit: Int) async throws -> Set<EntityKey> {
        var keys: Set<EntityKey> = []
        var cursor = ScanCursor.start
        for _ in 0..<100_000 {
            let page = try await scan(space, from: cursor, limit: limit)
            keys.formUnion(page.keys)
            guard let next = page.next else { return keys }
            cursor = next
        }
        Issue.record("the scan does not end")
        return keys
    }
}

/// Expects an error of a code from a call of a store.
func expectCode(
    _ code: StoreError.Code, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("no error, expected \(code)", sourceLocation: sourceLocation)
    } catch let error as StoreError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
}
