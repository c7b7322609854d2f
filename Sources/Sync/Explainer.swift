package import FeatureModel
package import OnlineStore
import RowCodec

/// One row, taken apart.
package struct RowExplanation: Codable, Hashable, Sendable {
    package let view: String
    package let version: Int
    package let state: String
    package let key: String
    /// `row`, `tombstone`, `none` or `unreadable`.
    package let found: String
    package var bytes: Int?
    package var eventTime: String?
    package var epoch: Int?
    package var position: String?
    /// Whether a caller pushed it past the source, at `eventTime`, and the source has not confirmed it.
    package var pushed: Bool?
    /// Seconds until the row expires; `nil` for a row without expiry.
    package var expiresInSeconds: Double?
    package var values: [String: String]?
    /// The run that may have written it: the last one at whose end its position was behind.
    package var run: LedgerEntry?
    /// The quarantine entry of the entity, if it has one.
    package var quarantine: QuarantineEntry?
    package var problem: String?

    /// For people.
    package var text: String {
        var lines = [
            "\(view) v\(version) (\(state))  \(key)", "  \(found)\(bytes.map { ", \($0) bytes packed" } ?? "")",
        ]
        if let eventTime { lines.append("  event time       \(eventTime)") }
        if let position, let epoch { lines.append("  ingest position  \(position) (epoch \(epoch))") }
        if pushed == true {
            lines.append("  pushed           past its source; the position is that of the row it replaced")
        }
        if let expiresInSeconds { lines.append("  expires in       \(Int(expiresInSeconds)) s") }
        if let run {
            lines.append("  last run over it \(run.work.map(\.rawValue).joined(separator: "+")) by \(run.owner)")
        }
        for (name, value) in (values ?? [:]).sorted(by: { $0.key < $1.key }) { lines.append("  \(name) = \(value)") }
        if let quarantine {
            lines.append("  quarantined: \(quarantine.column) \(quarantine.rule): \(quarantine.reason)")
        }
        if let problem { lines.append("  \(problem)") }
        return lines.joined(separator: "\n")
    }
}

/// Takes stored rows apart for people.
package struct Explainer: Sendable {
    private let engine: SyncEngine

    package init(_ engine: SyncEngine) {
        self.engine = engine
    }

    /// Everything the store knows of an entity's row in one version.
    package func explain(_ key: EntityKey, version: ViewVersions.Version) async throws -> RowExplanation {
        let context = engine.context
        let view = try engine.definition(of: version)
        let space = KeySpace(project: context.project, viewKey: view.key, version: version.number)
        let stored = try await context.store.inspect(key, in: space)
        func explanation(_ found: String) -> RowExplanation {
            RowExplanation(
                view: view.name, version: version.number, state: version.state.rawValue, key: space.rowKey(key),
                found: found)
        }
        let quarantine = try await context.quarantine.entries(of: view.name).first { $0.entity == key.text }
        guard let stored else {
            var nothing = explanation("none")
            nothing.quarantine = quarantine
            return nothing
        }
        var result: RowExplanation
        do {
            let row = try RowDecoder(view: view).decode(stored.bytes, key: key)
            result = explanation(row.isTombstone ? "tombstone" : "row")
            result.eventTime = row.order.eventTime.map { Timestamps.format($0) }
            result.epoch = Int(row.order.epoch)
            result.position = "\(row.order.position)"
            result.pushed = try RowHeader(stored.bytes.span).isPushed
            result.values = row.isTombstone ? nil : Self.values(row, view)
            result.run = try await run(over: view.name, version.number)
        } catch let error as RowCodecError {
            result = explanation("unreadable")
            result.problem = "\(error); lookups answer FAILED, `tidemark verify --repair \(view.name)` mends it"
        }
        result.bytes = stored.bytes.count
        result.expiresInSeconds = stored.remaining?.inSeconds
        result.quarantine = quarantine
        return result
    }

    private static func values(_ row: DecodedRow, _ view: FeatureView) -> [String: String] {
        var values: [String: String] = [:]
        for (feature, value) in zip(view.features, row.values) {
            var json = JSONBytes()
            json.value(value)
            values[feature.name] = String(decoding: json.bytes, as: UTF8.self)
        }
        return values
    }

    private func run(over view: String, _ version: Int) async throws -> LedgerEntry? {
        try await engine.context.ledger.entries(limit: Ledger.limit).first {
            $0.view == view && $0.version == version && $0.written + $0.renewed > 0
        }
    }
}
