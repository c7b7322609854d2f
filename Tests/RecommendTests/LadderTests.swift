import FeatureModel
import Recommend
import Resilience
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(2)))
struct LadderTests {
    @Test func allWellIsRankedByTheModel() async throws {
        try await Stage.with { stage in
            let answer = try await stage.ask()
            #expect(answer.rung == .ranking)
            #expect(answer.model == "ctr" && answer.version == "7")
            #expect(answer.degraded.isEmpty)
            #expect(answer.items.count == 5)
            #expect(answer.items.map(\.score) == answer.items.map(\.score).sorted(by: >))
            try expectPolicy(answer)
            #expect(!answer.ids.contains(1) && !answer.ids.contains(2), "the user has met them")
            #expect(stage.counted(.ranking) == 1)
        }
    }

    @Test func withoutAModelTheOrderIsRecalls() async throws {
        try await Stage.with { stage in
            stage.ranker.mood = .failing
            let answer = try await stage.ask()
            #expect(answer.rung == .recall)
            #expect(answer.model == nil)
            #expect(answer.reasons == ["ranker": "failed"])
            try expectPolicy(answer)
        }
    }

    @Test func aSourceThatMissesItsCutIsLeftOutAndNamed() async throws {
        try await Stage.with { stage in
            stage.similar.mood = .silent
            let answer = try await stage.ask()
            #expect(answer.rung == .ranking)
            #expect(answer.reasons == ["similar": "late"])
            #expect(answer.items.allSatisfy { $0.source == "popular" })
        }
    }

    @Test func withoutTheStoreTheLastAnswerComesThenPopularity() async throws {
        try await Stage.with { stage in
            let first = try await stage.ask(user: 1)
            let isKnown = await stage.refresh()
            #expect(isKnown)
            stage.rows.mood = .failing
            let second = try await stage.ask(user: 1)
            #expect(second.rung == .lastGood)
            #expect(second.ids == first.ids)
            #expect(second.reasons["user"] == "unavailable")
            let other = try await stage.ask(user: 9)
            #expect(other.rung == .popularity)
            #expect(other.items.count == 5)
            try expectPolicy(other)
        }
    }

    @Test func theLastGoodAnswerLosesWhatPolicyForbidsByNow() async throws {
        try await Stage.with { stage in
            let first = try await stage.ask(user: 1)
            let gone = try #require(first.ids.first)
            try await TestCatalog.write(
                [(gone, [.bool(false), .int64(0), .float64(1)])], TestCatalog.item, stage.store, event: 5)
            // Somebody else's request sees it.
            _ = try await stage.ask(user: 1) { $0.candidates = [.integer(gone), .integer(5)] }
            stage.rows.mood = .failing
            let second = try await stage.ask(user: 1)
            #expect(second.rung == .lastGood)
            #expect(Array(second.ids.prefix(4)) == first.ids.filter { $0 != gone })
            #expect(!second.ids.contains(gone))
            try expectPolicy(second)
        }
    }

    @Test func aShortAnswerLeavesALongerOneBehindIt() async throws {
        try await Stage.with { stage in
            let long = try await stage.ask { $0.k = 8 }
            let short = try await stage.ask { $0.k = 2 }
            #expect(long.items.count == 8 && short.items.count == 2)
            let last = try await lastWithoutList(stage)
            #expect(Set(last.ids) == Set(long.ids) && Array(last.ids.prefix(2)) == short.ids)
        }
    }

    @Test func whatIsBehindTheNewestAnswerGetsTooOldByItsOwnAge() async throws {
        try await Stage.with { stage in
            _ = try await stage.ask { $0.k = 12 }
            stage.clock.advance(by: .seconds(3_000))
            let short = try await stage.ask { $0.k = 1 }
            stage.clock.advance(by: .seconds(601))
            // Of an answer to a smaller k as many items are kept as the pipeline's own k has.
            let last = try await lastWithoutList(stage)
            #expect(last.items.count == 5 && last.ids.first == short.ids.first)
        }
    }

    /// What is remembered for user 1, and nothing of the fallback list.
    private func lastWithoutList(_ stage: Stage) async throws -> RecommendAnswer {
        let isKnown = await stage.refresh()
        #expect(isKnown)
        stage.hasList.value = false
        stage.rows.mood = .failing
        let last = try await stage.ask { $0.k = 12 }
        #expect(last.rung == .lastGood)
        return last
    }

    @Test func whatTheLastAnswerLacksComesFromTheFallbackList() async throws {
        try await Stage.with { stage in
            let first = try await stage.ask { $0.k = 1 }
            let isKnown = await stage.refresh()
            #expect(isKnown)
            stage.rows.mood = .failing
            let last = try await stage.ask { $0.k = 12 }
            #expect(last.rung == .lastGood)
            #expect(last.items.count == 12 && last.ids.first == first.ids.first)
            // The list's scores are shares of its best; the model's are prices.
            #expect(last.items.dropFirst(5).allSatisfy { $0.source == "popular" && $0.score <= 1 })
            try expectPolicy(last)
            let excluding = try await stage.ask { request in
                request.k = 12
                request.exclude = [.integer(last.ids[0]), .integer(last.ids[11])]
            }
            #expect(excluding.rung == .lastGood && excluding.items.count == 12)
            #expect(!excluding.ids.contains(last.ids[0]) && !excluding.ids.contains(last.ids[11]))
            // Without a list there is no more than what the user got.
            stage.hasList.value = false
            let alone = try await stage.ask { $0.k = 12 }
            #expect(alone.rung == .lastGood && alone.ids == Array(last.ids.prefix(5)))
        }
    }

    @Test func theLastGoodAnswerLosesWhatIsBlockedByNow() async throws {
        try await Stage.with { stage in
            let first = try await stage.ask { $0.k = 8 }
            let isKnown = await stage.refresh()
            #expect(isKnown)
            let gone = first.ids[0]
            stage.recommender.apply(
                try Config.parse(file: "t.yaml", text: Array(Stage.config.utf8)).pipelines,
                blocked: ["blocklist.txt": [.integer(3), .integer(105), .integer(gone)]])
            stage.rows.mood = .failing
            let last = try await stage.ask { $0.k = 8 }
            #expect(last.rung == .lastGood && last.items.count == 8)
            #expect(Array(last.ids.prefix(7)) == first.ids.filter { $0 != gone })
            #expect(!last.ids.contains(gone))
        }
    }

    @Test func whatIsNotKnownOfPolicyLeaves() async throws {
        try await Stage.with { stage in
            stage.rows.mood = .failing
            let answer = try await stage.ask()
            #expect(answer.rung == .popularity)
            #expect(answer.items.isEmpty, "nothing was ever seen of any item")
        }
    }

    @Test func policyThatWasSeenTooLongAgoDoesNotCount() async throws {
        try await Stage.with { stage in
            let isKnown = await stage.refresh()
            #expect(isKnown)
            stage.rows.mood = .failing
            let early = try await stage.ask()
            #expect(early.items.count == 5)
            stage.clock.advance(by: .seconds(3_601))
            let late = try await stage.ask()
            #expect(late.items.isEmpty)
        }
    }

    @Test func withEverythingDeadTheLastRungAnswers() async throws {
        try await Stage.with { stage in
            let isKnown = await stage.refresh()
            #expect(isKnown)
            for temper in stage.all { temper.mood = .silent }
            for _ in 0..<20 {
                let answer = try await stage.ask()
                #expect(answer.rung == .popularity)
                #expect(answer.items.count == 5)
                try expectPolicy(answer)
            }
            // Once breakers are open nobody waits any more.
            let calls = stage.rows.calls
            _ = try await stage.ask()
            #expect(stage.rows.calls == calls)
        }
    }

    @Test func withoutAListThereIsNothingToSay() async throws {
        try await Stage.with { stage in
            stage.rows.mood = .failing
            stage.hasList.value = false
            await #expect(throws: RecommendError.self) { () async throws in _ = try await stage.ask() }
        }
    }

    @Test func breakersOpenWithinFiveCallsAndCloseByThemselves() async throws {
        try await Stage.with { stage in
            stage.ranker.mood = .failing
            for _ in 0..<5 {
                let answer = try await stage.ask()
                #expect(answer.reasons["ranker"] == "failed")
            }
            let sixth = try await stage.ask()
            #expect(sixth.reasons["ranker"] == "breaker_open")
            stage.ranker.mood = .well
            stage.clock.advance(by: .seconds(10))
            for _ in 0..<9 {
                let answer = try await stage.ask()
                #expect(answer.rung == .ranking)
            }
            let gate = try #require(stage.gates.all.first { $0.name == "ranker.ctr" })
            #expect(gate.reading.state == .closed)
        }
    }

    @Test func aReloadKeepsWhatBreakersAndMemoriesLearned() async throws {
        try await Stage.with { stage in
            _ = try await stage.ask(user: 1)
            stage.ranker.mood = .failing
            for _ in 0..<5 { _ = try await stage.ask(user: 1) }
            let text = Stage.config.replacing("timeout: 80ms", with: "timeout: 90ms")
            stage.recommender.apply(
                try Config.parse(file: "t.yaml", text: Array(text.utf8)).pipelines,
                blocked: ["blocklist.txt": [.integer(3), .integer(105)]])
            let answer = try await stage.ask(user: 1)
            #expect(answer.reasons["ranker"] == "breaker_open")
            stage.rows.mood = .failing
            let last = try await stage.ask(user: 1)
            #expect(last.rung == .lastGood)
        }
    }

    @Test func slowCallsOpenABreakerThatNoFailureOpens() async throws {
        let text = Stage.config.replacing("timeout: 80ms", with: "timeout: 80ms\n    slow_call: 20ms")
        try await Stage.with(text) { stage in
            let gate = try #require(stage.gates.all.first { $0.name == "ranker.ctr" })
            stage.ranker.pace = .milliseconds(21)
            for _ in 0..<19 {
                let answer = try await stage.ask()
                #expect(answer.rung == .ranking, "it comes in time")
            }
            #expect(gate.reading.state == .closed)
            _ = try await stage.ask()
            #expect(gate.reading.state == .open)
            let next = try await stage.ask()
            #expect(next.reasons["ranker"] == "breaker_open")
            // Three slow probes open it again; then it is well.
            stage.clock.advance(by: .seconds(31))
            for _ in 0..<3 { _ = try await stage.ask() }
            #expect(gate.reading.state == .open && gate.reading.trips == 2)
            stage.ranker.pace = .zero
            stage.clock.advance(by: .seconds(31))
            for _ in 0..<9 { _ = try await stage.ask() }
            #expect(gate.reading.state == .closed)
        }
    }

    /// O12 of the test matrix: breakers, deadlines and memories go by the monotonic clock.
    @Test(arguments: [Int64(-86_400), 86_400])
    func stepsOfTheWallClockMoveNothing(seconds: Int64) async throws {
        try await Stage.with { stage in
            let gate = try #require(stage.gates.all.first { $0.name == "ranker.ctr" })
            stage.ranker.mood = .failing
            for _ in 0..<5 { _ = try await stage.ask() }
            stage.wallStep.seconds = seconds
            let refused = try await stage.ask()
            #expect(refused.reasons["ranker"] == "breaker_open" && gate.reading.state == .open)
            stage.ranker.mood = .well
            stage.clock.advance(by: .seconds(10))
            stage.wallStep.seconds = -seconds
            for _ in 0..<9 { _ = try await stage.ask() }
            #expect(gate.reading.state == .closed)
            stage.rows.mood = .failing
            let last = try await stage.ask()
            #expect(last.rung == .lastGood, "what was kept a moment ago is a moment old")
        }
    }

    @Test func aMisspeltKeyIsPutRight() async throws {
        try await Stage.with { stage in
            let cases: [([String: EntityKeyValue], String)] = [
                (["userid": EntityKeyValue.integer(1)], "userid is no key of the entity; did you mean user_id?"),
                (["city": .integer(1)], "the entity has no user_id; it has: city"), ([:], "the entity has no user_id"),
                (["user_id": .integer(1), "usr_id": .integer(2)], "there is no key usr_id; did you mean user_id?"),
            ]
            for (entity, words) in cases {
                let error = await #expect(throws: RecommendError.self) { () async throws in
                    _ = try await stage.ask { $0.entity = entity }
                }
                #expect(error?.description == words)
            }
        }
    }

    @Test func aShortRequestIsNoFailureOfItsDependencies() async throws {
        try await Stage.with { stage in
            let isKnown = await stage.refresh()
            #expect(isKnown)
            stage.rows.mood = .silent
            for _ in 0..<10 {
                let now = stage.clock.now
                let answer = try await stage.recommender.recommend(
                    RecommendRequest(pipeline: "home", entity: ["user_id": .integer(1)]), start: now,
                    deadline: now + .milliseconds(8))
                #expect(answer.rung == .popularity)
            }
            let gate = try #require(stage.gates.all.first { $0.name == GateBook.store })
            #expect(gate.reading.state == .closed)
        }
    }

    private func expectPolicy(_ answer: RecommendAnswer) throws {
        for id in answer.ids { #expect(!Stage.isForbidden(id), "\(id) is forbidden") }
        #expect(Set(answer.ids).count == answer.ids.count)
    }
}
