import FeatureModel
import Recall

/// A version of a list, for people and for `--json`.
struct RecallVersionLine: Encodable {
    let list: String
    let kind: String
    let version: UInt64?
    let isLive: Bool
    /// RFC 3339.
    let builtAt: String?
    /// RFC 3339.
    let newestEvent: String?
    let bytes: Int64?
    let counts: RecallCounts?
    /// What is wrong with it; `nil` for nothing.
    let fault: String?

    enum CodingKeys: String, CodingKey {
        case list, kind, version, bytes, counts, fault
        case isLive = "live"
        case builtAt = "built_at"
        case newestEvent = "newest_event"
    }

    init(_ manifest: RecallManifest, isLive: Bool) {
        list = manifest.list
        kind = manifest.kind.rawValue
        version = manifest.version
        self.isLive = isLive
        builtAt = Timestamps.format(manifest.builtAt)
        newestEvent = Timestamps.format(manifest.newestEvent)
        bytes = manifest.bytes
        counts = manifest.counts
        fault = nil
    }

    init(_ config: RecallListConfig, _ version: UInt64?, fault: String, isLive: Bool) {
        list = config.name
        kind = config.kind.rawValue
        self.version = version
        self.isLive = isLive
        builtAt = nil
        newestEvent = nil
        bytes = nil
        counts = nil
        self.fault = fault
    }
}

/// Recall lists in words.
enum RecallWords {
    static func describe(_ report: RecallBuildReport) -> String {
        let manifest = report.manifest
        let counts = manifest.counts
        var parts = ["\(Words.count(counts.items, "item"))"]
        if counts.segments > 0 { parts.append(Words.count(counts.segments, "segment")) }
        if manifest.kind.hasNeighbours, counts.entries > 0 {
            parts.append("\(Words.count(Int64(counts.entries))) neighbours")
        }
        parts.append("of \(Words.count(counts.events)) events until \(Words.time(manifest.newestEvent))")
        parts.append("\(Words.bytes(manifest.bytes)) in \(Words.seconds(report.seconds))")
        let omitted = omissions(counts)
        return "\(manifest.list): version \(manifest.version) is live: \(parts.joined(separator: ", "))"
            + (omitted.isEmpty ? "" : "\n  left out: \(omitted.joined(separator: ", "))")
    }

    private static func omissions(_ counts: RecallCounts) -> [String] {
        var parts: [String] = []
        func add(_ count: Int64, _ what: String) {
            if count > 0 { parts.append("\(Words.count(count)) \(what)") }
        }
        add(counts.faults, "rows that are not what the config says")
        add(counts.eventsLeftOut, "older events (limits.events)")
        add(counts.historyLeftOut, "older events of busy users (limits.history)")
        add(counts.pairsLeftOut, "crowded moments of a session")
        add(Int64(counts.segmentsLeftOut), "smaller segments (limits.segments)")
        return parts
    }

    static func table(_ lines: [RecallVersionLine]) -> String {
        var table = Table(
            ["LIST", "KIND", "VERSION", "LIVE", "BUILT", "NEWEST EVENT", "ITEMS", "ENTRIES", "SIZE", "REMARK"],
            numbers: [2, 6, 7, 8])
        for line in lines {
            table.add([
                line.list, line.kind, line.version.map(String.init) ?? "-", line.isLive ? "live" : "",
                line.builtAt ?? "-", line.newestEvent ?? "-", line.counts.map { Words.count(Int64($0.items)) } ?? "-",
                line.counts.map { Words.count(Int64($0.entries)) } ?? "-", line.bytes.map(Words.bytes) ?? "-",
                line.fault ?? "",
            ])
        }
        return table.text
    }
}
