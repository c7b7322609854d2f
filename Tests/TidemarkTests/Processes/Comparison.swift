import FeatureModel
import Testing
import TidemarkTesting

/// What differs between a source and a store, found by reading both directly.
struct Comparison: Sendable {
    var missing: [String] = []
    var different: [String] = []
    /// Rows that readers see though the source has none.
    var extra: [String] = []
    var badExpiries: [String: Int64] = [:]
    var broken: [String] = []
    var quarantine: Set<String> = []
    var expectedQuarantine: Set<String> = []
    var compared = 0

    var isInStep: Bool {
        missing.isEmpty && different.isEmpty && extra.isEmpty && badExpiries.isEmpty && broken.isEmpty
            && quarantine == expectedQuarantine
    }

    /// A short account of what is wrong.
    var text: String {
        var parts: [String] = []
        for (name, list) in [
            ("missing", missing), ("different", different), ("extra", extra), ("broken", broken),
            ("expiry", badExpiries.map { "\($0.key)=\($0.value)" }),
            ("quarantine lacks", expectedQuarantine.subtracting(quarantine).sorted()),
            ("quarantine has too much", quarantine.subtracting(expectedQuarantine).sorted()),
        ] where !list.isEmpty {
            parts.append("\(list.count) \(name): \(list.prefix(5).joined(separator: "; "))")
        }
        return parts.isEmpty ? "in step, \(compared) rows" : parts.joined(separator: " | ")
    }

    /// Compares one version of a bank's view; `nil` takes the one that readers are sent to.
    static func make(_ stage: Stage, _ bank: BankView, version: Int? = nil) async throws -> Comparison {
        let view = try bank.compiled(project: Stage.project)
        let (rows, bad) = try await bank.expected(from: stage.source, features: view.features)
        return try await make(stage, view, rows, bad: bad, version: version)
    }

    /// Compares one version of a view with the rows it must have.
    static func make(
        _ stage: Stage, _ view: FeatureView, _ rows: [String: [FeatureValue]], bad: Set<String> = [],
        version: Int? = nil
    ) async throws -> Comparison {
        var number = version
        if number == nil { number = try await stage.probe.currentVersion(of: view.name) }
        guard let number else { throw BankError("view \(view.name) has no current version") }
        var result = Comparison(rows, try await stage.probe.dump(view, version: number), bad: bad)
        result.quarantine = try await stage.probe.quarantined(view.name)
        result.expectedQuarantine = bad
        return result
    }

    init(_ rows: [String: [FeatureValue]], _ dump: StoreDump, bad: Set<String>) {
        badExpiries = dump.badExpiries
        broken = dump.broken
        compared = rows.count
        let live = dump.live
        for (key, values) in rows {
            guard let stored = live[key] else {
                missing.append(key)
                continue
            }
            if stored != values { different.append("\(key): \(stored) instead of \(values)") }
        }
        // An entity in quarantine keeps its last good row, which the contract allows.
        for key in live.keys where rows[key] == nil && !bad.contains(key) { extra.append(key) }
    }

}

/// Requires that store and source are in step.
func expectInStep(
    _ stage: Stage, _ bank: BankView, version: Int? = nil, _ context: String,
    location: SourceLocation = #_sourceLocation
) async throws {
    let result = try await Comparison.make(stage, bank, version: version)
    #expect(result.isInStep, "\(context): \(result.text)", sourceLocation: location)
    #expect(result.compared > 0, "\(context): nothing to compare", sourceLocation: location)
}
