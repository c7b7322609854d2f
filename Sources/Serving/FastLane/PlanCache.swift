import FeatureModel
import OnlineStore
import Telemetry

/// A compiled feature list with the counters of its views.
final class CachedPlan {
    /// The bytes it was compiled from.
    let key: [UInt8]
    let plan: LookupPlan
    let keyColumns: KeyColumns
    /// By part, then by status.
    private let counters: [[(status: FeatureStatus, counter: Counter)]]

    init(key: [UInt8], plan: LookupPlan, metrics: ServingMetrics) {
        self.key = key
        self.plan = plan
        keyColumns = KeyColumns(plan.keyColumns)
        counters = plan.views.map { view in
            FeatureStatus.allCases.map { ($0, metrics.registry.counter(.lookupValues, [view, $0.rawValue])) }
        }
    }

    /// Counts the values of an answer.
    func count(_ counts: LookupCounts) {
        for part in counters.indices {
            for (status, counter) in counters[part] {
                let count = counts.count(of: status, part: part)
                if count > 0 { counter.add(count) }
            }
        }
    }
}

/// Plans by the bytes of the request that named their features, of one catalog. Of one event loop.
///
/// A slot holds one plan: two lists of one hash take turns, and more than `limit` lists begin anew. So its size is bounded
/// whatever clients ask for.
struct PlanCache {
    static let limit = 512
    /// Longer lists are compiled for each request.
    static let maximumKeyBytes = 64 * 1_024

    private var plans: [UInt64: CachedPlan] = [:]
    private var generation: UInt64?
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
    }

    /// The plan for `key` under the catalog of `generation`; a new generation forgets all before it.
    mutating func plan(_ key: UnsafeRawBufferPointer, generation: UInt64) -> CachedPlan? {
        if self.generation != generation {
            plans.removeAll(keepingCapacity: true)
            self.generation = generation
        }
        guard let cached = unsafe plans[hash(key)], cached.key.count == key.count else { return nil }
        let isSame = unsafe cached.key.withUnsafeBytes { unsafe $0.elementsEqual(key) }
        return isSame ? cached : nil
    }

    /// Keeps a plan compiled under the generation asked for last.
    mutating func insert(_ plan: CachedPlan) {
        guard plan.key.count <= Self.maximumKeyBytes else { return }
        if plans.count >= Self.limit { plans.removeAll(keepingCapacity: true) }
        let hash = unsafe plan.key.withUnsafeBytes { bytes -> UInt64 in unsafe self.hash(bytes) }
        plans[hash] = plan
    }

    /// Multiply-and-fold over words of eight bytes. It need not withstand attackers: a collision costs a compilation.
    private func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = seed ^ UInt64(bytes.count) &* 0x9e37_79b9_7f4a_7c15
        var index = 0
        while index + 8 <= bytes.count {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            hash = Self.fold(hash ^ word)
            index += 8
        }
        var tail: UInt64 = 0
        while index < bytes.count {
            tail = unsafe tail << 8 | UInt64(bytes[index])
            index += 1
        }
        return Self.fold(hash ^ tail)
    }

    private static func fold(_ value: UInt64) -> UInt64 {
        let (high, low) = value.multipliedFullWidth(by: 0xa076_1d64_78bd_642f)
        return high ^ low
    }
}
