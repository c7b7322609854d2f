import Extraction
import FeatureModel
import OnlineStore
import RowCodec

/// A chunk ready for the store: packed rows and tombstones, and the rows that don't go there.
struct EncodedChunk: Sendable {
    var rows = RowBatch()
    /// How many of `rows`, from the end, are tombstones.
    var tombstones = 0
    var faults: [RowFault] = []
    var eventTimes: [Int64] = []
    /// Left out because the entity was erased.
    var erased = 0
    /// Feature index → nulls among the rows, for features with a bounded null rate.
    var nulls: [Int: Int] = [:]
}

/// Turns chunks as read into chunks as written: contract, erasures, packing, expiry.
struct ChunkEncoder: Sendable {
    private let view: FeatureView
    private let contract: ContractChecker
    private let encoder: RowEncoder
    private let erasures: Erasures
    private let ttlMilliseconds: Int64
    private let tombstoneMilliseconds: Int64

    init(view: FeatureView, erasures: Erasures) {
        self.view = view
        self.erasures = erasures
        contract = ContractChecker(view)
        encoder = RowEncoder(view: view)
        ttlMilliseconds = max(1, view.ttl.wholeMilliseconds)
        tombstoneMilliseconds = Self.tombstoneTTL(view).wholeMilliseconds
    }

    /// How long a delete is remembered: while anything older may still arrive. At least a day, twice the sweep, twice the lookback.
    static func tombstoneTTL(_ view: FeatureView) -> Duration {
        var ttl = max(.seconds(86_400), view.sweep * 2)
        if case .column(let watermark) = view.source.watermark { ttl = max(ttl, watermark.lookback * 2) }
        return ttl
    }

    func encode(
        _ chunk: RowChunk, epoch: UInt16, position: UInt64, erased: Set<String>
    ) -> EncodedChunk {
        var result = EncodedChunk()
        result.faults = chunk.faults
        result.rows.reserve(rows: chunk.keys.count + chunk.removed.count, bytesPerRow: 32 + view.features.count * 5)
        let width = view.features.count
        for (index, key) in chunk.keys.enumerated() {
            if isErased(key, erased) {
                result.erased += 1
                continue
            }
            let eventTime = chunk.eventTimes.isEmpty ? nil : chunk.eventTimes[index]
            let start = index * width
            if !contract.isEmpty, let broken = contract.violation(in: chunk.values, at: start) {
                result.faults.append(fault(key, broken, position))
                continue
            }
            let order = RowOrder(epoch: epoch, eventTime: eventTime, position: position)
            do {
                try result.rows.append(key, ttlMilliseconds: RowExpiry.jittered(ttlMilliseconds, key)) {
                    (bytes) throws(RowCodecError) in
                    try encoder.encode(
                        key: key, order: order, values: chunk.values[start..<start + width], into: &bytes)
                }
                if let eventTime { result.eventTimes.append(eventTime) }
                for feature in contract.nullBounded where chunk.values[start + feature].isNull {
                    result.nulls[feature, default: 0] += 1
                }
            } catch {
                result.faults.append(fault(key, ("", "\(error.code)", "\(error)"), position))
            }
        }
        appendTombstones(chunk.removed, epoch: epoch, position: position, erased: erased, to: &result)
        return result
    }

    private func appendTombstones(
        _ removals: [Removal], epoch: UInt16, position: UInt64, erased: Set<String>, to result: inout EncodedChunk
    ) {
        for removal in removals {
            if isErased(removal.key, erased) {
                result.erased += 1
                continue
            }
            let order = RowOrder(epoch: epoch, eventTime: removal.eventTime, position: position)
            let ttl = RowExpiry.jittered(tombstoneMilliseconds, removal.key)
            result.rows.append(removal.key, ttlMilliseconds: ttl) { (bytes) in
                encoder.encodeTombstone(key: removal.key, order: order, into: &bytes)
            }
            result.tombstones += 1
        }
    }

    private func isErased(_ key: EntityKey, _ erased: Set<String>) -> Bool {
        !erased.isEmpty && erased.contains(erasures.digest(key, entity: view.entity.name))
    }

    private func fault(
        _ key: EntityKey, _ broken: (column: String, rule: String, reason: String), _ position: UInt64
    ) -> RowFault {
        RowFault(
            key: key, column: broken.column, rule: broken.rule, reason: broken.reason, position: "horizon \(position)")
    }
}
