import Extraction
import FeatureModel
import OnlineStore
import RowCodec

/// Finds rows in the store whose entity the source no longer has.
///
/// The walk that comes first moved every row it saw to its own position or behind it. So only rows that stand at the walk's
/// start or before it are asked for at the source: in a store that is in step, few or none.
struct OrphanFinder {
    let reader: any ViewReader
    let store: any OnlineStore
    let space: KeySpace
    let epoch: UInt16
    let startPosition: UInt64

    struct Page {
        var orphans: [EntityKey] = []
        /// The horizon of the snapshot that lacked them.
        var position: UInt64?
        var scanned = 0
        var next: ScanCursor?
    }

    func page(from cursor: ScanCursor, limit: Int) async throws -> Page {
        let scanned = try await store.scan(space, from: cursor, limit: limit)
        var page = Page(scanned: scanned.keys.count, next: scanned.next)
        let keys = Array(Set(scanned.keys))
        let rows = try await store.read(keys, in: space)
        var suspects: [EntityKey] = []
        for (key, row) in zip(keys, rows) {
            if let row, isSuspect(row) { suspects.append(key) }
        }
        for start in stride(from: 0, to: suspects.count, by: limit) {
            let asked = Array(suspects[start..<min(start + limit, suspects.count)])
            let found = try await reader.readEntities(asked)
            page.orphans += found.removed.filter { $0.eventTime == nil }.map(\.key)
            // The oldest of the snapshots: nothing deleted after it is claimed.
            page.position = [page.position, found.position].compactMap(\.self).min()
        }
        return page
    }

    private func isSuspect(_ row: [UInt8]) -> Bool {
        // Bytes that are no row are not served either; a repair of their entity replaces them, else they expire.
        // What was pushed may be ahead of the source; it leaves by its expiry.
        let passedOver: RowFlags = [.tombstone, .pushed]
        guard let order = try? RowDecoder.order(of: row), RowFlags(rawValue: row[0] & 15).isDisjoint(with: passedOver)
        else { return false }
        return order.epoch != epoch ? order.epoch < epoch : order.position <= startPosition
    }
}
