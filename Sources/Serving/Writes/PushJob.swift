import FeatureModel
import OnlineStore
import RowCodec

/// Rows for one version of a view: of distinct entities, within the contract.
struct PushJob: Sendable {
    let view: FeatureView
    let space: KeySpace
    private(set) var keys: [EntityKey] = []
    private var eventTimes: [Int64] = []
    private var values: [FeatureValue] = []
    private let encoder: RowEncoder
    private let ttlMilliseconds: Int64

    /// Keeps of two rows of one entity the later, by event time and then by place.
    ///
    /// - Throws: `invalidValue` for a row that breaks the contract or is too large.
    init(view: FeatureView, space: KeySpace, rows: PushedRows) throws(WireError) {
        self.view = view
        self.space = space
        encoder = RowEncoder(view: view)
        ttlMilliseconds = max(1, view.ttl.wholeMilliseconds)
        let contract = ContractChecker(view)
        let width = view.features.count
        var newest: [EntityKey: Int] = [:]
        for (row, key) in rows.keys.enumerated() {
            if let broken = contract.violation(in: rows.values, at: row * width) {
                throw WireError(
                    .invalidValue, "\(broken.column) breaks its contract (\(broken.rule)): \(broken.reason)",
                    path: [.field("df"), .field(broken.column), .element(row)])
            }
            if let other = newest[key], rows.eventTimes[other] > rows.eventTimes[row] { continue }
            newest[key] = row
        }
        for row in newest.values.sorted() {
            keys.append(rows.keys[row])
            eventTimes.append(rows.eventTimes[row])
            values += rows.values[row * width..<(row + 1) * width]
            var trial: [UInt8] = []
            do throws(RowCodecError) {
                try encode(keys.count - 1, nil, into: &trial)
            } catch {
                throw WireError(.invalidValue, "the row can't be stored: \(error)", path: [.field("df")])
            }
        }
    }

    /// The rows of some indexes, each in the place of what is stored for its entity.
    func batch(_ indexes: [Int], over stored: [[UInt8]?]) throws(StoreError) -> RowBatch {
        var batch = RowBatch()
        batch.reserve(rows: indexes.count, bytesPerRow: 32 + view.features.count * 5)
        for (index, old) in zip(indexes, stored) {
            // Bytes that are no row have no place; the store replaces them.
            let place = old.flatMap { try? RowDecoder.order(of: $0) }
            let ttl = RowExpiry.jittered(ttlMilliseconds, keys[index])
            do throws(RowCodecError) {
                try batch.append(keys[index], ttlMilliseconds: ttl) { (bytes) throws(RowCodecError) in
                    try encode(index, place, into: &bytes)
                }
            } catch {
                throw StoreError(.tooLarge, "a row to write can't be packed", detail: "\(error)")
            }
        }
        return batch
    }

    private func encode(_ index: Int, _ place: RowOrder?, into bytes: inout [UInt8]) throws(RowCodecError) {
        let order = RowOrder(
            epoch: place?.epoch ?? 0, eventTime: eventTimes[index], position: place?.position ?? 0)
        let width = view.features.count
        try encoder.encode(
            key: keys[index], order: order, values: values[index * width..<(index + 1) * width], isPushed: true,
            into: &bytes)
    }
}
