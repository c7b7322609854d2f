import FeatureModel
import Glibc
import Testing
import TidemarkTesting

/// What a view is in the middle of when its process is killed.
enum Moment: String, CaseIterable, Sendable {
    case firstLoad
    case following
    case sweep
    case flip
    case quarantine
}

/// One kill: where, at which time of coming by, in which work, on which view.
struct CrashCase: Sendable, CustomTestStringConvertible {
    let point: String
    /// Which time of coming by; how often a point is passed depends on how many acknowledgements come together.
    var hit: Int
    let moment: Moment
    let following: Following
    let source: SourceKind

    var testDescription: String { "\(source.rawValue) \(following.rawValue) \(moment.rawValue) \(point):\(hit)" }

    /// Points that every chunk passes, with a hit in the midst of the chunks.
    private static let everyChunk = [("C1", 2), ("C2", 3), ("C3", 2), ("C4", 2), ("C5", 2), ("C6", 2), ("C7", 2)]

    /// The points that a moment passes.
    private static func points(
        _ moment: Moment, _ following: Following, _ source: SourceKind
    ) -> [(String, Int)] {
        // The engine is the same over every source; over the second one the ways of following that differ suffice.
        if source == .postgresql, following == .column || following == .changes { return [] }
        return switch moment {
        case .firstLoad:
            [("C0", 1)] + everyChunk + (following.loadsByRange ? [("C10", 2)] : []) + [("C11", 1)]
        case .following: [("C0", 1)] + everyChunk + [("C9", 1)]
        // The request for the sweep takes a lease of its own.
        case .sweep: [("C0", 2)] + everyChunk + [("C12", 2)]
        case .flip:
            // One lease; chunks of both versions, of which the second is the one being filled.
            [("C0", 1)] + everyChunk.map { ($0.0, $0.1 + 3) } + (following.loadsByRange ? [("C10", 2)] : [])
                + [("C11", 1), ("C13", 1)]
        case .quarantine: [("C4", 2), ("C5", 2), ("C6", 2), ("C7", 2), ("C8", 1), ("C8", 2)]
        }
    }

    static let all: [CrashCase] = SourceKind.available.flatMap { source in
        Following.allCases.flatMap { following in
            Moment.allCases.flatMap { moment in
                points(moment, following, source).map { point, hit in
                    CrashCase(point: point, hit: hit, moment: moment, following: following, source: source)
                }
            }
        }
    }
}

/// `kill -9` at every enumerated point of the engine, then changes, then another process: it must end in step.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(5))) struct CrashMatrixTests {
    @Test(arguments: CrashCase.all) func whatIsKilledAnywhereEndsInStep(_ crash: CrashCase) async throws {
        try await Places.shared.with {
            var crash = crash
            while true {
                let wasKilled = try await Stage.with(crash.source, sync: "chunk_rows: 30") { [crash] stage in
                    var run = CrashRun(stage: stage, crash: crash)
                    return try await run.run()
                }
                if wasKilled { break }
                crash.hit -= 1
                try #require(crash.hit > 0, "\(crash.point) was never reached")
            }
        }
    }
}

/// One case of the matrix.
private struct CrashRun {
    let stage: Stage
    let crash: CrashCase
    private var bank: BankView
    private var model: BankModel
    /// What the killed command was.
    private var command = ["sync", "--once"]

    init(stage: Stage, crash: CrashCase) {
        self.stage = stage
        self.crash = crash
        bank = BankView(following: crash.following)
        bank.keepPrevious = crash.point == "C13" ? "0s" : "1d"
        var seed: UInt64 = 0
        for byte in crash.testDescription.utf8 { seed = seed &* 31 &+ UInt64(byte) }
        model = BankModel(crash.following, seed: seed)
    }

    /// Whether the process was killed: it ended before that otherwise.
    mutating func run() async throws -> Bool {
        try await stage.source.commit(model.schema(stage.source))
        try await stage.source.commit(model.open(150))
        try stage.define(bank.definitions)
        try await stage.succeed("source", "install", bank.name, "--apply")
        if crash.moment != .firstLoad {
            try await stage.succeed("sync", "--once")
            try await expectInStep(stage, bank, "before the crash")
        }
        try await prepare()
        let ending = try await stage.start(command, environment: ["TIDEMARK_CRASH_AT": "\(crash.point):\(crash.hit)"])
            .ending()
        // 3 where rows went into quarantine, or differed before they were repaired.
        if ending.code == 0 || ending.code == 3 && (isQuarantining || crash.moment == .sweep) { return false }
        try #require(ending.signal == SIGKILL && !ending.timedOut, "the point was not reached: \(ending.story)")
        try await changeMeanwhile()
        try await stage.waitForLease(of: bank.name)
        try await stage.succeedByTimer("sync", "--once", codes: isQuarantining ? [0, 3] : [0])
        try await check()
        return true
    }

    private var isQuarantining: Bool { crash.moment == .quarantine }

    /// Brings the view to its moment.
    private mutating func prepare() async throws {
        switch crash.moment {
        case .firstLoad: break
        case .following: try await stage.source.commit(model.change(150))
        case .sweep:
            try await damage()
            command = ["verify", "--repair"]
        case .flip:
            bank.isWidened = true
            try stage.define(bank.definitions)
            try await stage.succeed("apply")
            try await stage.source.commit(model.change(100))
            // A version is retired by the pass behind the one that made it the previous.
            if crash.point == "C13" { try await stage.succeed("sync", "--once") }
        case .quarantine: try await stage.source.commit(model.change(150, badShare: 0.3))
        }
    }

    /// What only a sweep finds: rows that went, rows that are no rows, and rows that the source lost without a trace.
    private mutating func damage() async throws {
        let view = try bank.compiled(project: Stage.project)
        // Some that have a row: what stands under a key without an entity is nobody's to mend.
        let accounts = try await bank.expected(from: stage.source, features: view.features).rows.keys.sorted()
        try await stage.probe.remove(Array(accounts[3..<13]), of: view, version: 1)
        for account in accounts[20..<25] {
            try await stage.probe.overwrite(account, of: view, version: 1, with: "no row of ours")
        }
        switch crash.following {
        case .column:
            try await stage.source.commit(["DELETE FROM \(crash.following.table) WHERE id IN (\(accounts[40]))"])
        case .changes:
            try await stage.source.commit(["DELETE FROM \(crash.following.table) WHERE account_id = \(accounts[40])"])
        case .tracked, .totals: break
        }
    }

    private mutating func changeMeanwhile() async throws {
        try await stage.source.commit(model.change(40, badShare: isQuarantining ? 0.2 : 0))
        if isQuarantining { try await stage.source.commit(model.mend()) }
        try await stage.source.commit(model.change(10))
    }

    private func check() async throws {
        if crash.moment == .flip {
            #expect(try await stage.probe.currentVersion(of: bank.name) == 2)
            // The version before it is kept in step for a rollback, unless its time was over.
            var old = bank
            old.isWidened = false
            if crash.point != "C13" { try await expectInStep(stage, old, version: 1, "the previous version") }
        }
        try await expectInStep(stage, bank, "after the crash")
        let verified = try await stage.run("verify", "--json")
        #expect(verified.code == 0, "verify disagrees: \(verified.story)")
    }
}
