import FeatureModel
import OnlineStore
import Ranking
import Recall
import Recommend
import Synchronization
import TidemarkTesting

/// What a dependency does.
enum Mood: String, CaseIterable, Sendable {
    case well, slow, silent, failing, flapping
}

/// A dependency with a mood, told of each fault that strikes. Shared by the doubles.
final class Temper: Sendable {
    private struct State {
        var mood = Mood.well
        var calls = 0
        var held: [CheckedContinuation<Void, Never>] = []
        var isReleased = false
        var endsInTime = false
        var holds = false
        var pace = Duration.zero
    }

    struct Failed: Error {}

    let clock: ManualClock
    /// Yields for each call that makes its caller wait.
    let engaged: AsyncStream<Duration>.Continuation
    /// How far the clock must move for a caller to give up.
    let patience: Duration
    private let state = Mutex(State())

    init(
        _ clock: ManualClock, _ engaged: AsyncStream<Duration>.Continuation, patience: Duration = .milliseconds(25)
    ) {
        self.clock = clock
        self.engaged = engaged
        self.patience = patience
    }

    var mood: Mood {
        get { state.withLock { $0.mood } }
        set { state.withLock { $0.mood = newValue } }
    }

    /// Whether the double says that nobody need watch over its calls.
    var endsInTime: Bool {
        get { state.withLock { $0.endsInTime } }
        set { state.withLock { $0.endsInTime = newValue } }
    }

    /// How far a call that is well moves the clock.
    var pace: Duration {
        get { state.withLock { $0.pace } }
        set { state.withLock { $0.pace = newValue } }
    }

    var calls: Int { state.withLock { $0.calls } }

    /// Does what the mood says, before the double does its work.
    func strike() async throws(Failed) {
        let (mood, call, holds) = state.withLock { state in
            state.calls += 1
            return (state.mood, state.calls, state.holds)
        }
        if holds { await hold(whenReleased: false) }
        switch mood {
        case .well: clock.advance(by: pace)
        case .failing: throw Failed()
        case .flapping: if !call.isMultiple(of: 2) { throw Failed() }
        case .slow:
            engaged.yield(patience)
            // Doesn't look at its cancellation either.
            await hold(whenReleased: false)
        case .silent:
            engaged.yield(patience)
            await hold(whenReleased: false)
        }
    }

    private func hold(whenReleased: Bool) async {
        await withCheckedContinuation { waiting in
            let isReleased = state.withLock { state in
                if !state.isReleased { state.held.append(waiting) }
                return state.isReleased
            }
            if isReleased { waiting.resume() }
        }
    }

    /// Holds whoever comes until `letGo`, without time passing.
    func holdOn() { state.withLock { $0.holds = true } }

    /// Lets go of what was held, and holds nothing from now on.
    func release() {
        let held = state.withLock { state in
            defer { state.held = [] }
            state.isReleased = true
            return state.held
        }
        for waiting in held { waiting.resume() }
    }

    /// Lets go of what is held now: slow answers come in the end.
    func letGo() {
        let held = state.withLock { state in
            defer {
                state.held = []
                state.holds = false
            }
            return state.held
        }
        for waiting in held { waiting.resume() }
    }
}

struct TestSource: CandidateSource {
    let list: TestList
    let temper: Temper
    let isImmediate = false

    func candidates(
        _ query: CandidateQuery, deadline: ContinuousClock.Instant
    ) async throws(CandidateError) -> [ScoredItem] {
        do throws(Temper.Failed) { try await temper.strike() } catch { throw CandidateError("failed") }
        if let seeds = query.seeds {
            return list.neighbours(of: seeds, limit: query.limit, excluding: query.excluding)
        }
        return list.top(segments: query.segments, limit: query.limit)
    }
}

/// Items 1, 2, 3 … with falling scores; near to a seed are those behind it.
struct TestList: ItemList {
    var items = 40
    var longestRow: Int { max(items, 10) }

    func top(segments: [String], limit: Int) -> [ScoredItem] {
        (1...items).prefix(limit).map { ScoredItem(id: .integer(Int64($0)), score: 100 - Float($0)) }
    }

    func neighbours(of seeds: [EntityKeyValue], limit: Int, excluding: [EntityKeyValue]) -> [ScoredItem] {
        guard case .integer(let seed)? = seeds.first else { return [] }
        return (1...10).map { ScoredItem(id: .integer(seed + 100 + Int64($0)), score: 10 - Float($0)) }
            .filter { !excluding.contains($0.id) }
    }
}

struct TestRows: RowSource {
    let rows: StoreRows
    let temper: Temper
    var endsInTime: Bool { temper.endsInTime }

    func read(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows {
        do throws(Temper.Failed) { try await temper.strike() } catch {
            throw StoreError(.unavailable, "a fault that was asked for")
        }
        return try await rows.read(plan, keys, deadline: deadline)
    }
}

/// Ranks by price, the dearest first.
struct TestRanker: Ranker {
    let temper: Temper
    func isImmediate(rows: Int) -> Bool { temper.endsInTime }
    var name: String { "ctr" }
    var version: String { "7" }
    var columns: [RankerColumn] {
        [
            RankerColumn(.feature(FeatureReference(view: "item", feature: "price"))),
            RankerColumn(.feature(FeatureReference(view: "recent", feature: "visits"))),
        ]
    }

    func score(
        _ matrix: FeatureMatrix, deadline: ContinuousClock.Instant
    ) async throws(RankerError) -> [Float] {
        try check(matrix)
        do throws(Temper.Failed) { try await temper.strike() } catch { throw RankerError(.failed, "asked for") }
        return (0..<matrix.rows).map { matrix[$0, 0].isNaN ? -1 : matrix[$0, 0] }
    }
}
