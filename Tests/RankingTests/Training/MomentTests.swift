import FeatureModel
import Foundation
import Ranking
import Synchronization
import Testing
import TidemarkTesting

// Moments are internal: nobody but a training picks any.
@testable import Training

/// What recall is told of a user at a moment.
@Suite(.timeLimit(.minutes(5))) struct MomentTests {
    private static let users = """
          user_last:
            entity: user
            source:
              from: shop
              query: SELECT user_id, max(ts) AS ts, item_id AS last_item FROM events GROUP BY user_id
              watermark: {column: ts, unit: ms}
            every: 1m
            ttl: 30d
            features: {last_item: int64}
        """

    private static let training = """
              pipeline: home
              from: shop
              query: SELECT user_id, item_id, ts FROM events
              time: {column: ts, unit: ms}
              horizon: 1m
              recent: 5
              groups: 800
              test_groups: 300
              history:
                user_last: {query: "SELECT user_id, ts, item_id AS last_item FROM events", time: {column: ts, unit: ms}}
        """

    private func withShop(_ training: String, _ body: (TrainingFixture) async throws -> Void) async throws {
        let root = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(root) }
        try await TrainingFixture.makeRandomEvents("\(root)/shop.db")
        try await body(
            TrainingFixture(
                path: "\(root)/shop.db", config: TrainingFixture.training(training),
                catalog: TrainingFixture.entities(Self.users)))
    }

    @Test(arguments: ["0s", "1s", "1h", "7h"])
    func seedsAreWhatCouldBeReadByThen(_ delay: String) async throws {
        try await withShop(Self.training + "\n      delay: \(delay)") { fixture async throws in
            let plan = try fixture.plan([RankerColumn(.recall("popular"))])
            let log = try await EventLog.read(plan, from: fixture.source)
            let picker = MomentPicker(
                log: log, recent: 5, horizon: 60_000_000, delay: plan.config.delay.microseconds, seed: 1)
            let moments = picker.pick(in: log.time(atShare: 0.5)..<Int64.max / 2, limit: 500)
            #expect(moments.count > 400)
            for moment in moments {
                let until = moment.time - plan.config.delay.microseconds
                let known = log.events.filter { $0.user == moment.user && $0.time < moment.time }.reversed()
                let readable = known.filter { $0.time < until }
                #expect(moment.recent == Self.distinct(readable.map(\.item)))
                // What the user has just met is not to be found again, whether it could be read or not.
                #expect(!Self.distinct(known.map(\.item)).contains { moment.relevant[$0] != nil })
            }
        }
    }

    private static func distinct(_ items: [UInt32]) -> [UInt32] {
        var found: [UInt32] = []
        for item in items where !found.contains(item) && found.count < 5 { found.append(item) }
        return found
    }

    /// Gives the item that the segment names: of the user's last event, or of the one that comes.
    private final class Named: CandidateSource {
        let asked = Mutex<Set<[String]>>([])

        func candidates(
            seeds: [EntityKeyValue], segments: [String], limit: Int, excluding: Set<EntityKeyValue>
        ) -> [(id: EntityKeyValue, score: Float)] {
            asked.withLock { _ = $0.insert(segments) }
            return segments.first.flatMap { Int64($0) }.map { [(.integer($0), 1)] } ?? []
        }
    }

    private func recall(_ fixture: TrainingFixture, lookahead: Duration) async throws -> (Double, Set<[String]>) {
        let sources: [TrainingPlan.Source] = [
            .init(name: "popular", quota: 5),
            .init(name: "named", quota: 1, segment: FeatureReference(view: "user_last", feature: "last_item")),
        ]
        var plan = try fixture.plan([RankerColumn(.recall("popular"))], sources: sources)
        plan.lookahead = lookahead
        let named = Named()
        let source = fixture.source
        let training = RankerTraining(
            plan, sources: { _ in source },
            recall: { until in
                [Popular(try await TrainingFixture.events(source, fixture.config.query, until)), named]
            })
        return (try await training.run().ranked.recall, named.asked.withLock { $0 })
    }

    @Test func segmentsAreThoseOfTheMoment() async throws {
        try await withShop(Self.training) { fixture async throws in
            // A user's last item is not recommended again: nothing but the popular ones can be right.
            let (now, segments) = try await recall(fixture, lookahead: .zero)
            #expect(now < 0.2)
            #expect(segments.count > 50)
            // A moment ahead, the last item is the one that should have been recommended.
            let (ahead, _) = try await recall(fixture, lookahead: .milliseconds(1))
            #expect(ahead > 0.95)
        }
    }

    @Test func segmentsNeedAHistoryOfTheirView() async throws {
        try await withShop(
            Self.training.replacingOccurrences(of: "user_last:", with: "other:")
        ) { fixture async throws in
            for name in ["last_item", "other"] {
                let reference = FeatureReference(view: "user_last", feature: name)
                #expect {
                    try fixture.plan(
                        [RankerColumn(.recall("popular"))],
                        sources: [.init(name: "popular", quota: 5, segment: reference)])
                } throws: {
                    ($0 as? TrainingError)?.code == .misconfigured
                        && ($0 as? TrainingError)?.message.contains("recall source popular") == true
                }
            }
        }
    }

    @Test func blendingPutsBothOnOneScale() {
        let held = HeldMoment(
            items: [1, 2, 3], matrix: FeatureMatrix(rows: 3, columns: 1), labels: [0, 1, 0], order: [1, 0.5, 0])
        #expect(held.blended([-4, 0, 4], recallShare: 0) == [-4, 0, 4])
        #expect(held.blended([-4, 0, 4], recallShare: 0.5) == [0.5, 0.5, 0.5])
        #expect(held.blended([-4, 0, 4], recallShare: 1) == [1, 0.5, 0])
        #expect(held.blended([2, 2, 2], recallShare: 0.25) == [0.25, 0.125, 0])
    }
}
