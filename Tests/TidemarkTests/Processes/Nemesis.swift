import Glibc
import Synchronization
import Testing
import TidemarkTesting

/// One run: a writer, two services, a reader a view, and faults until the time is over; then peace, and a comparison.
final class Nemesis: Sendable {
    private let stage: Stage
    private let kind: SourceKind
    private let seed: UInt64
    private let duration: Duration
    private let banks: [BankView]
    private let services: [ServiceSlot]
    private let losses = Witness.Losses()
    private let isOver = Mutex(false)
    private let counts = Mutex<[String: Int]>([:])
    private let log = Mutex<[String]>([])
    private let began = Mutex(ContinuousClock.now)

    init(_ stage: Stage, _ kind: SourceKind, seed: UInt64, duration: Duration) {
        self.stage = stage
        self.kind = kind
        self.seed = seed
        self.duration = duration
        banks = Following.allCases.map { following in
            // Rows that nothing changes live ten seconds: the sweep has to renew them.
            BankView(following: following, every: "200ms", ttl: "10s", sweep: "2s", keepPrevious: "1s")
        }
        services = [ServiceSlot(stage), ServiceSlot(stage)]
    }

    private func count(_ name: String, _ number: Int = 1) { counts.withLock { $0[name, default: 0] += number } }

    private func note(_ text: String) {
        let time = ContinuousClock.now - began.withLock { $0 }
        log.withLock { $0.append("\(time): \(text)") }
    }

    // MARK: The run

    func run() async throws {
        var models: [BankModel] = []
        for bank in banks {
            var model = BankModel(bank.following, seed: seed)
            try await stage.source.commit(model.schema(stage.source))
            try await stage.source.commit(model.open(200))
            models.append(model)
        }
        try stage.define(BankView.definitions(banks))
        for bank in banks { try await stage.succeed("source", "install", bank.name, "--apply") }
        let started = ContinuousClock.now
        began.withLock { $0 = started }
        let witnesses = try banks.map { try Witness(stage, $0, losses, began: started) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in services { group.addTask { try await service.run() } }
            for (index, witness) in witnesses.enumerated() {
                group.addTask { [seed] in try await witness.run(seed: seed &+ UInt64(index)) }
            }
            let writer = models
            group.addTask { try await self.write(writer) }
            do {
                try await trouble(until: started + duration)
                isOver.withLock { $0 = true }
                try await calm()
            } catch {
                isOver.withLock { $0 = true }
                finish(witnesses)
                throw error
            }
            finish(witnesses)
            try await group.waitForAll()
        }
        judge(witnesses)
        let verified = try await stage.run("verify")
        #expect(verified.code == 0, "verify disagrees: \(verified.story)")
    }

    private func finish(_ witnesses: [Witness]) {
        for witness in witnesses { witness.stop() }
        for service in services { service.stop() }
    }

    // MARK: Writing

    private func write(_ initial: [BankModel]) async throws {
        var models = initial
        var random = SeededGenerator(seed: seed ^ 0x77)
        while !isOver.withLock({ $0 }) {
            let index = random.below(models.count)
            do {
                try await stage.source.commit(models[index].change(1 + random.below(8)))
                count("transactions")
            } catch {
                // The source was away. What became of the transaction nobody knows; the comparison asks the source.
                count("failed transactions")
            }
            try await Task.sleep(for: .milliseconds(5 + random.below(40)))
        }
    }

    // MARK: Trouble

    private func trouble(until end: ContinuousClock.Instant) async throws {
        var random = SeededGenerator(seed: seed)
        var deck = Fault.allCases.filter { kind.knows($0) }.flatMap { Array(repeating: $0, count: $0.weight) }
        deck.shuffle(using: &random)
        var index = 0
        var late = 0
        while ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(300 + random.below(900)))
            let fault = deck[index % deck.count]
            index += 1
            count(fault.rawValue)
            note("\(fault)")
            try await strike(fault, &random, &late)
        }
        count("faults", index)
    }

    private func strike(_ fault: Fault, _ random: inout SeededGenerator, _ late: inout Int) async throws {
        let trouble = (stage.source as? PostgresSource).map { PostgresTrouble(source: $0) }
        let service = services[random.below(services.count)].process
        switch fault {
        case .killService: service?.kill()
        case .stopService: service?.terminate()
        case .pauseService:
            await service?.pause()
            // Longer than the lease: somebody else takes the views meanwhile.
            try await Task.sleep(for: .milliseconds(1_700))
            service?.resume()
        case .backfill:
            let name = random.pick(banks).name
            let ending = try await stage.run("sync", "--backfill", name)
            // The services may hold the lease; then they build the version.
            expectSane(ending, "sync --backfill")
        case .repair: expectSane(try await stage.run("verify", "--repair"), "verify --repair")
        case .lateCommit:
            late += 1
            try await trouble?.commitLate(
                number: late, seconds: 0.5 + random.fraction(), rollsBack: random.chance(0.3))
        case .restartSource: try await trouble?.restart()
        default: try await strikeRedis(fault)
        }
    }

    private func strikeRedis(_ fault: Fault) async throws {
        let redis = stage.redis
        switch fault {
        case .pauseRedis:
            redis.pause()
            try await Task.sleep(for: .milliseconds(800))
            redis.resume()
        case .emptyRedis, .oldRedis:
            losses.declare()
            redis.stop(.kill)
            try redis.start(erasing: fault == .emptyRedis)
            losses.declare()
        case .saveRedis: try await stage.probe.run("SAVE", [])
        case .flushScripts: try await stage.probe.run("SCRIPT", ["FLUSH"])
        case .killClients: try await stage.probe.run("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"])
        case .fillRedis:
            try await stage.probe.run("CONFIG", ["SET", "maxmemory", "1"])
            try await Task.sleep(for: .milliseconds(800))
            try await stage.probe.run("CONFIG", ["SET", "maxmemory", "0"])
        case .demoteRedis:
            try await stage.probe.run("REPLICAOF", ["127.0.0.1", "1"])
            try await Task.sleep(for: .milliseconds(800))
            try await stage.probe.run("REPLICAOF", ["NO", "ONE"])
        default: break
        }
    }

    /// A command beside the services may fail, but not fall over.
    private func expectSane(_ ending: DaemonProcess.Ending, _ what: String) {
        #expect(ending.code.map { (0...3).contains($0) } == true && !ending.timedOut, "\(what): \(ending.story)")
    }

    // MARK: Peace

    /// Waits until every view is in step. The writer is at rest; the services go on.
    private func calm() async throws {
        let began = ContinuousClock.now
        var last: [String] = []
        for _ in 0..<75 {
            last = []
            for bank in banks {
                do {
                    let comparison = try await Comparison.make(stage, bank)
                    count("rows compared", comparison.compared)
                    if !comparison.isInStep { last.append("\(bank.name): \(comparison.text)") }
                } catch {
                    last.append("\(bank.name): \(error)")
                }
            }
            if last.isEmpty {
                note("in step \(ContinuousClock.now - began) after the last fault")
                return
            }
            // Everything is back; what takes longer than this is a fault of the services.
            if ContinuousClock.now - began > .seconds(15) { break }
            try await Task.sleep(for: .milliseconds(200))
        }
        let status = try await stage.run("status").output
        Issue.record("not in step: \(last.joined(separator: "\n"))\n\(status)\(story)")
    }

    private func judge(_ witnesses: [Witness]) {
        for service in services { #expect(service.history.crashes.isEmpty, "a service fell over") }
        for witness in witnesses {
            let report = witness.result
            #expect(report.reads > 0)
            if let first = report.regressions.first {
                Issue.record("\(report.regressions.count) times a reader saw the past: \(first) \(story)")
            }
            if let first = report.vanished.first {
                Issue.record("\(report.vanished.count) rows vanished: \(first) \(story)")
            }
            count("reads", report.reads)
            count("failed reads", report.failures)
        }
        let starts = services.map(\.history.starts).reduce(0, +)
        let text = counts.withLock { $0 }.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        print(
            "nemesis over \(kind.rawValue), TIDEMARK_SEED=\(seed), \(duration): \(starts) services started, "
                + "\(text.joined(separator: ", ")); \(log.withLock { $0.last ?? "" })")
    }

    private var story: String {
        let faults = log.withLock { $0.suffix(400).joined(separator: ", ") }
        return
            "\nTIDEMARK_SEED=\(seed), last faults: \(faults)\n\(services.map(\.story).joined(separator: "\n=====\n"))"
    }
}
