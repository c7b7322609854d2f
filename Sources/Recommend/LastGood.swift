import FeatureModel
import Synchronization

/// The last full answers, by user. Bounded.
final class LastGood: Sendable {
    struct Answer: Sendable {
        let items: [RecommendAnswer.Item]
        let made: ContinuousClock.Instant
    }

    private let answers: Mutex<BoundedMemory<EntityKey, Answer>>
    private let maximumAge: Duration

    init(_ config: LastGoodConfig) {
        answers = Mutex(BoundedMemory(capacity: config.users))
        maximumAge = config.maximumAge
    }

    func keep(_ items: [RecommendAnswer.Item], of user: EntityKey, at now: ContinuousClock.Instant) {
        answers.withLock { $0.set(user, Answer(items: items, made: now)) }
    }

    /// The last answer that is young enough.
    func answer(of user: EntityKey, at now: ContinuousClock.Instant) -> [RecommendAnswer.Item]? {
        let answer = answers.withLock { $0.value(user) }
        guard let answer, now - answer.made <= maximumAge else { return nil }
        return answer.items
    }

    var count: Int { answers.withLock { $0.count } }
}
