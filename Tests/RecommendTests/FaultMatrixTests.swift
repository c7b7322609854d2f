import FeatureModel
import Recommend
import Testing
import TidemarkTesting

/// Every dependency in every mood, singly and in pairs.
@Suite(.timeLimit(.minutes(3)))
struct FaultMatrixTests {
    enum Part: Int, CaseIterable, Sendable {
        case similar, popular, rows, ranker
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let moods: [Part: Mood]
        var testDescription: String {
            moods.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
    }

    static let singles = Part.allCases.flatMap { part in
        Mood.allCases.map { Case(moods: [part: $0]) }
    }

    static let pairs = Part.allCases.flatMap { first in
        Part.allCases.filter { $0.rawValue > first.rawValue }.flatMap { second in
            Mood.allCases.flatMap { one in Mood.allCases.map { Case(moods: [first: one, second: $0]) } }
        }
    }.filter { !$0.moods.values.contains(.well) }

    @Test(arguments: singles + pairs)
    func everyAnswerNamesItsRungAndKeepsPolicy(_ fault: Case) async throws {
        try await Stage.with { stage in
            let isKnown = await stage.refresh()
            #expect(isKnown)
            for (part, mood) in fault.moods { stage.all[part.rawValue].mood = mood }
            for user in 1...12 {
                let answer = try await stage.ask(user: Int64(user))
                check(answer, fault)
                #expect(!answer.items.isEmpty)
                for id in answer.ids { #expect(!Stage.isForbidden(id)) }
            }
            // Whoever was held is let go: no call is out any more, and all is well again.
            for temper in stage.all {
                temper.mood = .well
                temper.letGo()
            }
            stage.clock.advance(by: .seconds(31))
            for _ in 0..<4 { _ = try await stage.ask(user: 1) }
            let last = try await stage.ask(user: 1)
            #expect(last.rung == .ranking)
            #expect(last.degraded.isEmpty)
        }
    }

    private func check(_ answer: RecommendAnswer, _ fault: Case) {
        let isBad = { (part: Part) in answer.reasons[Self.names[part] ?? ""] != nil }
        switch answer.rung {
        case .ranking:
            #expect(answer.model == "ctr")
            #expect(
                answer.reasons["ranker"] == nil && answer.reasons["user"] == nil && answer.reasons["features"] == nil)
        case .recall: #expect(isBad(.ranker) || answer.reasons["features"] != nil)
        case .lastGood, .popularity:
            #expect(
                answer.reasons["user"] != nil || answer.reasons["recall"] != nil || answer.reasons["filters"] != nil)
        }
        // Who does well is not named.
        for part in [Part.similar, .popular] where (fault.moods[part] ?? .well) == .well {
            #expect(!isBad(part))
        }
    }

    static let names: [Part: String] = [.similar: "similar", .popular: "popular", .ranker: "ranker"]
}
