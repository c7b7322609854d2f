import FeatureModel
import Synchronization

/// The last full answers, by user. Bounded: by users, and by the items of the longest answer.
final class LastGood: Sendable {
    private struct Kept: Sendable {
        let item: RecommendAnswer.Item
        let made: ContinuousClock.Instant
    }

    private let answers: Mutex<BoundedMemory<EntityKey, [Kept]>>
    private let maximumAge: Duration

    init(_ config: LastGoodConfig) {
        answers = Mutex(BoundedMemory(capacity: config.users))
        maximumAge = config.maximumAge
    }

    /// Keeps an answer. Behind one that is shorter than what was kept before, as one to a smaller `k` is, the best of that stay
    /// as far as they are young enough.
    func keep(_ items: [RecommendAnswer.Item], of user: EntityKey, at now: ContinuousClock.Instant) {
        let fresh = items.map { Kept(item: $0, made: now) }
        answers.withLock { answers in
            var kept = fresh
            if let old = answers.value(user), old.count > items.count {
                let ids = Set(items.map(\.id))
                kept += old.lazy.filter { self.isYoung($0, at: now) && !ids.contains($0.item.id) }
                    .prefix(old.count - items.count)
            }
            answers.set(user, kept)
        }
    }

    /// What the user got last that is young enough: the newest answer first.
    func items(of user: EntityKey, at now: ContinuousClock.Instant) -> [RecommendAnswer.Item] {
        let kept = answers.withLock { $0.value(user) } ?? []
        return kept.filter { isYoung($0, at: now) }.map(\.item)
    }

    private func isYoung(_ kept: Kept, at now: ContinuousClock.Instant) -> Bool { now - kept.made <= maximumAge }

    var count: Int { answers.withLock { $0.count } }
}
