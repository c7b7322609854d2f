import FeatureModel
import Synchronization

/// Which items pass a pipeline's policy, as it was seen last: what stands in for the store when it can't be asked. Bounded.
final class PolicyMemory: Sendable {
    private struct Entry: Sendable {
        let passes: Bool
        let seen: ContinuousClock.Instant
    }

    private let entries: Mutex<BoundedMemory<EntityKeyValue, Entry>>
    private let maximumAge: Duration

    init(_ config: PolicyConfig) {
        entries = Mutex(BoundedMemory(capacity: config.items))
        maximumAge = config.maximumAge
    }

    /// Remembers what was just seen.
    func learn(_ verdicts: [(id: EntityKeyValue, passes: Bool)], at now: ContinuousClock.Instant) {
        entries.withLock { entries in
            for (id, passes) in verdicts { entries.set(id, Entry(passes: passes, seen: now)) }
        }
    }

    /// Whether an item passed when it was seen last; `nil` when that is too long ago or never was.
    func passes(_ id: EntityKeyValue, at now: ContinuousClock.Instant) -> Bool? {
        let entry = entries.withLock { $0.value(id) }
        guard let entry, now - entry.seen <= maximumAge else { return nil }
        return entry.passes
    }

    /// How many items are remembered.
    var count: Int { entries.withLock { $0.count } }
}
