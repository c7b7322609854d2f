import Extraction
import FeatureModel
import OnlineStore
import RowCodec
import Sync
import Synchronization
import TidemarkTesting

/// One random schedule: a model source, a memory store, two engines and a reader, all on one thread and a manual clock.
///
/// Everything follows from the seed. `run` throws `Broken` where a promise is broken.
final class Schedule {
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    private var random: SeededGenerator
    private let clock = ManualClock()
    private let start: ContinuousClock.Instant
    private let source: ModelSource
    private let store: MemoryStore
    private let view: FeatureView
    private let engines: [SyncEngine]
    private let keys: [EntityKey]
    private let isExact: Bool
    private let crash = CrashSwitch()
    /// What the reader saw last of each entity in the version that is read.
    private var seen: [EntityKey: Int64] = [:]
    private var seenVersion = 0
    private var erased: Set<EntityKey> = []
    private var snapshots: [MemoryStore.Snapshot] = []
    private var backups: [ModelSource.Backup] = []
    private var locked: Set<EntityKey> = []
    private var writesOf: [UInt64: [EntityKey]] = [:]
    /// By column, a commit behind the lookback waits for the sweep.
    private var hadLateCommits = false
    private var steps: [String] = []

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        isExact = random.chance(0.6)
        let mode: ModelSource.Mode = isExact ? .exact : .column(lookback: Int64(random.below(12)))
        source = ModelSource(mode: mode)
        view = ModelSource.view(mode: mode, eventTime: random.chance(0.5))
        keys = (1...(4 + random.below(12))).map { EntityKey(canonical: "\($0)") }
        let clock = clock
        let start = clock.now
        self.start = start
        store = MemoryStore(
            now: { clock.now }, wallSeconds: { 1_700_000_000 + (clock.now - start).wholeMicroseconds / 1_000_000 })
        let jitter = Mutex(SeededGenerator(seed: seed ^ 0xABCD))
        let time = SyncTime(
            wall: { 1_700_000_000_000_000 + (clock.now - start).wholeMicroseconds }, now: { clock.now },
            sleep: { try await clock.sleep(until: clock.now + $0, tolerance: nil) },
            random: { jitter.withLock { $0.fraction() } })
        let chunkRows = 1 + random.below(5)
        let chunksInFlight = 1 + random.below(4)
        let (source, store) = (source, UnevenStore(self.store, seed: seed ^ 0x5EED))
        engines = ["a", "b"].map { owner in
            var settings = SyncSettings(owner: owner)
            settings.chunkRows = chunkRows
            settings.chunksInFlight = chunksInFlight
            settings.leaseDuration = .seconds(30)
            settings.sweepRowsPerSecond = 1_000_000
            return SyncEngine(
                context: SyncContext(
                    project: "model", store: store, settings: settings, time: time, observer: SyncObservers([])),
                sources: ["model": source])
        }
        self.random = random
        let crash = crash
        self.store.setFaultHook { (operation, moment) throws(StoreError) in try crash.check(moment) }
    }

    /// What was done so far, for a failure's report.
    var history: String {
        "\(isExact ? "exact" : "by column"), \(view.source.eventTime == nil ? "no event time" : "event time")\n"
            + steps.joined(separator: "\n")
    }

    func run() async throws {
        try await apply()
        for _ in 0..<(10 + random.below(30)) {
            try await step()
            try await look()
        }
        try await quiesce()
    }

    // MARK: Steps

    private func step() async throws {
        switch random.below(100) {
        case 0..<30: write()
        case 30..<37: beginOpen()
        case 37..<43: endOpen()
        case 43..<70: await sync(random.below(2), faults: random.chance(0.4))
        case 70..<77: advance(.milliseconds(random.below(20_000)))
        case 77..<80: advance(.seconds(3_700))
        case 80..<85: await zombie()
        case 85..<87: loseStore()
        case 87..<90: snapshots.append(store.snapshot())
        case 90..<92: restoreStore()
        case 92..<94: backups.append(source.backup())
        case 94..<95: restoreSource()
        case 95..<96: forgetChanges()
        case 96..<97: try await erase()
        case 97..<99: try await backfill()
        default: try await rollBack()
        }
    }

    private func writes() -> [ModelSource.Write] {
        let now = 1_700_000_000_000_000 + (clock.now - start).wholeMicroseconds
        var chosen = Set<EntityKey>()
        return (0..<(1 + random.below(3))).compactMap { _ in
            let key = random.pick(keys)
            guard !locked.contains(key), chosen.insert(key).inserted else { return nil }
            return random.chance(0.25) ? .delete(key) : .put(key, eventTime: now)
        }
    }

    private func words(_ writes: [ModelSource.Write]) -> String {
        writes.map { write in
            switch write {
            case .put(let key, _): "put \(key.text)"
            case .delete(let key): "delete \(key.text)"
            }
        }.joined(separator: ", ")
    }

    private func write() {
        let writes = writes()
        advance(.microseconds(1))
        note("commit \(words(writes))")
        source.commit(source.begin(writes))
    }

    private func beginOpen() {
        let writes = writes()
        advance(.microseconds(1))
        let number = source.begin(writes)
        let keys = writes.map { write in
            switch write {
            case .put(let key, _), .delete(let key): key
            }
        }
        locked.formUnion(keys)
        writesOf[number] = keys
        note("begin \(number) \(words(writes))")
    }

    private func endOpen() {
        guard let number = writesOf.keys.sorted().randomElement(using: &random) else { return }
        end(number, commits: random.chance(0.8))
    }

    private func end(_ number: UInt64, commits: Bool) {
        note("\(commits ? "commit" : "roll back") \(number)")
        hadLateCommits = true
        if commits { source.commit(number) } else { source.rollBack(number) }
        locked.subtract(writesOf.removeValue(forKey: number) ?? [])
    }

    private func advance(_ duration: Duration) {
        if duration > .milliseconds(1) { note("advance \(duration)") }
        clock.advance(by: duration)
    }

    private func loseStore() {
        note("the store loses everything")
        store.loseEverything()
        seen = [:]
        erased = []
    }

    private func restoreStore() {
        guard let snapshot = snapshots.randomElement(using: &random) else { return }
        note("the store comes back from an older snapshot")
        store.restore(snapshot)
        seen = [:]
        erased = []
    }

    private func restoreSource() {
        guard isExact, let backup = backups.randomElement(using: &random) else { return }
        note("the source comes back from an older copy")
        source.restore(backup)
        locked = []
        writesOf = [:]
    }

    private func forgetChanges() {
        note("the source forgets all changes so far")
        source.forgetChanges()
    }

    private func erase() async throws {
        let key = random.pick(keys)
        note("erase \(key.text)")
        do {
            _ = try await engines[0].erase(key, entity: "thing")
            erased.insert(key)
        } catch is StoreError {}
        seen[key] = nil
    }

    private func backfill() async throws {
        guard try await engines[0].context.catalog.versions(of: "model") != nil else { return }
        note("backfill")
        _ = try await Planner(engines[0]).beginBackfill(view)
    }

    private func rollBack() async throws {
        let now = engines[0].context.time.wall()
        let keep = view.keepPrevious
        note("roll back")
        _ = try await engines[0].context.catalog.updateVersions(of: "model") { versions in
            guard let previous = versions.previous else { return false }
            return versions.activate(previous.number, at: now, keepPrevious: keep)
        }
    }

    // MARK: Syncing

    private func apply() async throws {
        _ = try await Planner(engines[0]).apply(
            Catalog(project: "model", views: [view], services: []), hash: "h")
    }

    private func sync(_ index: Int, faults: Bool) async {
        if faults {
            switch random.below(3) {
            case 0: crash.arm(after: random.below(40), moment: random.chance(0.5) ? .before : .after)
            case 1: store.failNext(1 + random.below(3), .unavailable)
            default: source.failNext(1 + random.below(3))
            }
        }
        let engine = engines[index]
        let result = await drive { try await engine.sync("model") }
        note("sync by \(index)\(faults ? " with faults" : ""): \(result)")
        crash.disarm()
        store.failNext(0, .unavailable)
        source.failNext(0)
        if result.contains("not applied") { try? await apply() }
    }

    /// A service is stopped with a page in hand for longer than its lease, another takes over, the first goes on. Or it is
    /// held for a moment, and an entity of its page is erased meanwhile.
    private func zombie() async {
        source.hold(afterReads: random.below(3))
        let first = random.below(2)
        let engine = engines[first]
        let finished = Flag()
        let clock = clock
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = try? await engine.sync("model")
                finished.raise()
            }
            for _ in 0..<200 where !finished.isRaised && !source.isHolding { await Task.yield() }
            note("engine \(first) is stopped: \(source.isHolding)")
            if source.isHolding, random.chance(0.3) {
                try? await erase()
            } else if source.isHolding {
                clock.advance(by: .seconds(31))
                write()
                await sync(1 - first, faults: false)
                write()
            }
            source.release()
            while !finished.isRaised {
                for _ in 0..<50 where !finished.isRaised { await Task.yield() }
                if !finished.isRaised { clock.advance(by: .milliseconds(100)) }
            }
        }
        note("engine \(first) went on and ended")
    }

    /// Runs to the end, moving the clock whenever everybody waits for it.
    private func drive(_ body: @escaping @Sendable () async throws -> [LedgerEntry]) async -> String {
        let finished = Flag()
        let clock = clock
        return await withTaskGroup(of: String.self) { group in
            group.addTask {
                defer { finished.raise() }
                do {
                    return try await body().map { "\($0.outcome) \($0.written)" }.joined(separator: ", ")
                } catch {
                    return "\(error)"
                }
            }
            while !finished.isRaised {
                for _ in 0..<50 where !finished.isRaised { await Task.yield() }
                if !finished.isRaised { clock.advance(by: .milliseconds(100)) }
            }
            return await group.next() ?? ""
        }
    }

    // MARK: Checks

    /// What the store says now: entity → stamp; checks each row's expiry on the way.
    private func stored() async throws -> [EntityKey: Int64] {
        guard let current = try await engines[0].context.catalog.versions(of: "model")?.current else { return [:] }
        if current.number != seenVersion {
            seenVersion = current.number
            seen = [:]
        }
        let space = KeySpace(project: "model", viewKey: view.key, version: current.number)
        var rows: [EntityKey: Int64] = [:]
        for key in keys {
            guard let row = try await store.inspect(key, in: space) else { continue }
            guard let remaining = row.remaining, remaining <= max(view.ttl, .seconds(86_400)) else {
                throw Broken(description: "\(key.text) has no expiry, or a longer one than it should")
            }
            let decoded = try RowDecoder(view: view).decode(row.bytes, key: key)
            if !decoded.isTombstone, case .int64(let stamp) = decoded.values[0] { rows[key] = stamp }
        }
        return rows
    }

    /// The reader: no row goes back, nothing that was erased comes back.
    private func look() async throws {
        for (key, stamp) in try await stored() {
            if let before = seen[key], stamp < before, !source.isLost(before) {
                throw Broken(description: "\(key.text) went back from \(before) to \(stamp)")
            }
            if erased.contains(key) { throw Broken(description: "\(key.text) was erased and is back") }
            seen[key] = stamp
        }
    }

    /// Lets everything end, and compares.
    private func quiesce() async throws {
        for number in source.openTransactions { end(number, commits: true) }
        note("quiescence")
        advance(.seconds(31))
        await sync(0, faults: false)
        await sync(0, faults: false)
        try await look()
        if isExact || !hadLateCommits { try await compare(deletesToo: isExact) }
        if !isExact {
            try await engines[0].requestSweep("model")
            await sync(0, faults: false)
            try await compare(deletesToo: true)
        }
        let report = try await Verifier(engines[1]).verify("model")
        guard report.counts.mismatches == 0 else {
            throw Broken(description: "verify finds \(report.counts.mismatches) differences: \(report.samples)")
        }
    }

    /// Every row of the source is in the store as it is there; without `deletesToo` the store may have more.
    private func compare(deletesToo: Bool) async throws {
        let known = try await engines[0].context.erasures.digests(entity: "thing")
        let truth = source.truth.filter {
            !known.contains(engines[0].context.erasures.digest($0.key, entity: "thing"))
        }
        var rows = try await stored()
        if !deletesToo { rows = rows.filter { truth[$0.key] != nil } }
        guard rows == truth else {
            let differing = Set(rows.keys).union(truth.keys).filter { rows[$0] != truth[$0] }.sorted()
            let words = differing.map { "\($0.text): store \(rows[$0] ?? -1), source \(truth[$0] ?? -1)" }
            throw Broken(description: "the store differs from the source: \(words.joined(separator: "; "))")
        }
    }

    private func note(_ text: String) {
        steps.append(text)
    }
}

/// Ends all store calls of a pass from a chosen one on, as the death of its process would.
final class CrashSwitch: Sendable {
    private struct State {
        var callsLeft: Int?
        var moment = MemoryStore.Moment.before
        var isDead = false
    }

    private let state = Mutex(State())

    func arm(after calls: Int, moment: MemoryStore.Moment) {
        state.withLock { $0 = State(callsLeft: calls, moment: moment) }
    }

    func disarm() {
        state.withLock { $0 = State() }
    }

    func check(_ moment: MemoryStore.Moment) throws(StoreError) {
        let dies = state.withLock { state in
            if state.isDead { return moment == .before }
            guard let left = state.callsLeft, moment == state.moment else { return false }
            state.callsLeft = left - 1
            state.isDead = left == 0
            return state.isDead
        }
        // Not retryable: a dead process tries nothing again.
        if dies { throw StoreError(.corrupt, "the process died here") }
    }
}

/// Something that has happened.
final class Flag: Sendable {
    private let raised = Atomic<Bool>(false)

    var isRaised: Bool { raised.load(ordering: .acquiring) }

    func raise() {
        raised.store(true, ordering: .releasing)
    }
}
