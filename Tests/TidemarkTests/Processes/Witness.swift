import FeatureModel
import Synchronization
import TidemarkTesting

/// A reader beside the services, which remembers what it saw and never wants to see anything older.
final class Witness: Sendable {
    /// How often the store lost what it had acknowledged. Whoever looks over a loss begins anew.
    final class Losses: Sendable {
        private let state = Mutex((count: 0, last: ContinuousClock.now))

        var value: Int { state.withLock { $0.count } }
        /// How long ago the last one was.
        var age: Duration { ContinuousClock.now - state.withLock { $0.last } }

        func declare() {
            state.withLock { state in
                state.count += 1
                state.last = .now
            }
        }
    }

    private struct Sight {
        var order: RowOrder
        var version: Int
        /// The stamp of the newest row seen; `nil` for views without.
        var stamp: Int64?
        var isTombstone: Bool
    }

    struct Report {
        var reads = 0
        var failures = 0
        /// What was older than something seen before.
        var regressions: [String] = []
        /// Rows that went without a tombstone.
        var vanished: [String] = []
    }

    /// How long after a loss rows may still go.
    private static let recovery = Duration.seconds(5)

    private let stage: Stage
    private let bank: BankView
    private let view: FeatureView
    private let losses: Losses
    private let report = Mutex(Report())
    private let isOver = Mutex(false)
    private let began: ContinuousClock.Instant

    init(_ stage: Stage, _ bank: BankView, _ losses: Losses, began: ContinuousClock.Instant) throws {
        self.began = began
        self.stage = stage
        self.bank = bank
        self.losses = losses
        view = try bank.compiled(project: Stage.project)
    }

    var result: Report { report.withLock { $0 } }

    func stop() { isOver.withLock { $0 = true } }

    /// Reads until stopped.
    func run(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var sights: [String: Sight] = [:]
        var known = losses.value
        while !isOver.withLock({ $0 }) {
            let before = losses.value
            if before != known {
                known = before
                sights = [:]
            }
            do {
                let entities = (0..<100).map { _ in String(1 + random.below(700)) }
                guard let version = try await stage.probe.currentVersion(of: bank.name) else { continue }
                let rows = try await stage.probe.read(entities, of: view, version: version)
                // What was read while the store came back may be of either side.
                guard losses.value == known else { continue }
                for (entity, row) in zip(entities, rows) { look(entity, row, version, &sights) }
                report.withLock { $0.reads += 1 }
            } catch {
                report.withLock { $0.failures += 1 }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func look(_ entity: String, _ row: StoreDump.Row?, _ version: Int, _ sights: inout [String: Sight]) {
        let before = sights[entity]
        guard let row else {
            // What an old copy brought back may be about to expire; the sweep renews it as soon as somebody syncs again.
            if let before, !before.isTombstone, before.version == version, losses.age > Self.recovery {
                let text = "\(bank.name) \(entity), last seen at \(before.order), \(losses.age) behind the last loss"
                let began = began
                report.withLock { $0.vanished.append("\(ContinuousClock.now - began): \(text)") }
            }
            sights[entity] = nil
            return
        }
        var stamp: Int64?
        if bank.following.readsAccounts, case .int64(let number)? = row.values.last { stamp = number }
        if let before { compare(entity, row, stamp, version, before) }
        sights[entity] = Sight(
            order: row.order, version: version, stamp: stamp ?? before?.stamp, isTombstone: row.isTombstone)
    }

    private func compare(_ entity: String, _ row: StoreDump.Row, _ stamp: Int64?, _ version: Int, _ before: Sight) {
        var wrong: String?
        if version == before.version, row.order.precedesByPosition(before.order) { wrong = "an older position" }
        if let stamp, let last = before.stamp, stamp < last { wrong = "an older row" }
        if let stamp, let last = before.stamp, stamp == last, before.isTombstone, version == before.version {
            wrong = "a row that was deleted"
        }
        guard let wrong else { return }
        report.withLock {
            $0.regressions.append(
                "\(bank.name) \(entity): \(wrong): \(row.order) stamp \(stamp ?? -1) after \(before)")
        }
    }
}
