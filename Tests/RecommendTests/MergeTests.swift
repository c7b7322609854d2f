import FeatureModel
import Recommend
import Testing
import TidemarkTesting

/// What pipelines make of sources, seen from outside.
@Suite(.timeLimit(.minutes(1)))
struct MergeTests {
    @Test func quotasHoldAndEachItemComesOnce() async throws {
        try await Stage.with { stage in
            let answer = try await stage.ask {
                $0.explain = true
                $0.k = 50
            }
            let candidates = try #require(answer.explain?.candidates)
            #expect(Set(candidates.map(\.id)).count == candidates.count)
            let taken = candidates.filter { $0.left != "seen" && $0.left != "exclude" && $0.left != "blocked" }
            #expect(taken.filter { $0.sources.contains { $0.name == "popular" } }.count <= 10)
            #expect(taken.filter { $0.sources.contains { $0.name == "similar" } }.count <= 8)
        }
    }

    @Test func whoeverAnswersFirstTheOrderIsTheSame() async throws {
        let first = try await Stage.with { stage in
            stage.ranker.mood = .failing
            return try await stage.ask { $0.k = 20 }.ids
        }
        for _ in 0..<20 {
            let again = try await Stage.with { stage in
                stage.ranker.mood = .failing
                return try await stage.ask { $0.k = 20 }.ids
            }
            #expect(again == first)
        }
    }

    @Test func whatIsExcludedSeenOrBlockedLeavesAndSaysWhy() async throws {
        try await Stage.with { stage in
            let answer = try await stage.ask(user: 5) {
                $0.explain = true
                $0.exclude = [.integer(7), .integer(107)]
            }
            let reasons = Dictionary(
                uniqueKeysWithValues: try #require(answer.explain?.candidates).map { ($0.id, $0.left) })
            #expect(reasons[.integer(7)] == "exclude")
            #expect(reasons[.integer(5)] == "seen")
            #expect(reasons[.integer(3)] == "blocked")
            #expect(reasons[.integer(8)] == "in_stock")
            #expect(!answer.ids.contains(7) && !answer.ids.contains(107))
        }
    }

    @Test func varietyHolds() async throws {
        try await Stage.with { stage in
            let answer = try await stage.ask { $0.k = 20 }
            var counts: [Int64: Int] = [:]
            for id in answer.ids { counts[id % 7, default: 0] += 1 }
            #expect(counts.values.allSatisfy { $0 <= 2 })
        }
    }

    @Test func aCallersListIsRankedAndNothingElseAnswered() async throws {
        try await Stage.with { stage in
            let own: [Int64] = [11, 50, 13, 4, 3, 1, 199]
            let answer = try await stage.ask {
                $0.candidates = own.map { .integer($0) }
                $0.k = 20
            }
            #expect(answer.rung == .ranking)
            #expect(Set(answer.ids) == [11, 50, 13, 199], "4 is out of stock, 3 is blocked, 1 was seen")
            #expect(answer.items.allSatisfy { $0.source == "request" })
            // Also where the store is dead: none but the caller's own, by what is known of them.
            stage.rows.mood = .failing
            let fallback = try await stage.ask {
                $0.candidates = own.map { .integer($0) }
                $0.k = 20
            }
            #expect(fallback.rung == .popularity)
            #expect(!fallback.items.isEmpty && Set(fallback.ids).isSubset(of: [11, 50, 13, 199, 1]))
        }
    }

    @Test func whatTheRequestBringsCountsInPlaceOfWhatIsStored() async throws {
        try await Stage.with { stage in
            let items = FeatureReference(view: "recent", feature: "items")
            let answer = try await stage.ask {
                $0.context = [items: .list([.int64(60)])]
                $0.explain = true
                $0.k = 20
            }
            #expect(answer.ids.contains { (161...170).contains($0) })
            #expect(answer.explain?.user.contains { $0.0 == items && $0.1 == .list([.int64(60)]) } == true)
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct WrongRecommendTests {
    struct Case: Sendable {
        let code: RecommendError.Code
        let path: [String]
        let change: @Sendable (inout RecommendRequest) -> Void
    }

    static let cases: [Case] = [
        Case(code: .unknownPipeline, path: ["pipeline"]) { $0.pipeline = "hom" },
        Case(code: .wrongRequest, path: ["entity", "user_id"]) { $0.entity = [:] },
        Case(code: .wrongRequest, path: ["entity", "user_id"]) { $0.entity = ["user_id": .text("1")] },
        Case(code: .wrongRequest, path: ["entity", "x"]) { $0.entity["x"] = .integer(1) },
        Case(code: .wrongRequest, path: ["k"]) { $0.k = 0 },
        Case(code: .wrongRequest, path: ["k"]) { $0.k = .min },
        Case(code: .tooLarge, path: ["k"]) { $0.k = 51 },
        Case(code: .wrongRequest, path: ["candidates"]) { $0.candidates = [] },
        Case(code: .wrongRequest, path: ["candidates", "1"]) { $0.candidates = [.integer(1), .text("a")] },
        Case(code: .tooLarge, path: ["candidates"]) {
            $0.candidates = (0...Int64(Recommender.maximumItems)).map { .integer($0) }
        },
        Case(code: .tooLarge, path: ["exclude"]) {
            $0.exclude = (0...Int64(Recommender.maximumItems)).map { .integer($0) }
        },
        Case(code: .wrongRequest, path: ["exclude", "0"]) { $0.exclude = [.text("a")] },
    ]

    @Test(arguments: cases.indices)
    func itIsRefusedWithItsPlace(_ index: Int) async throws {
        let wrong = Self.cases[index]
        try await Stage.with { stage in
            do throws(RecommendError) {
                _ = try await stage.ask(wrong.change)
                Issue.record("it was answered")
            } catch {
                #expect(error.code == wrong.code)
                #expect(error.path == wrong.path)
            }
        }
    }
}
