package import FeatureModel
import FoundationEssentials

/// What a version of a list is: `manifest.json` beside its `data.bin`. Times are microseconds since 1970.
package struct RecallManifest: Sendable, Hashable, Codable {
    /// Of this document.
    package var format = 1
    package var list: String
    package var kind: RecallKind
    package var version: UInt64
    package var builtAt: Int64
    /// When the newest event happened that the list is made of.
    package var newestEvent: Int64
    /// Events after this were left out; `nil` for none.
    package var until: Int64?
    /// How long the build took until it began to write.
    package var seconds: Double
    package var counts: RecallCounts
    /// The length of `data.bin`.
    package var bytes: Int64
    /// The SHA-256 of `data.bin`, 64 hex digits of lower case.
    package var sha256: String

    /// The largest manifest that is read, in bytes.
    static let maximumBytes = 64 << 10

    enum CodingKeys: String, CodingKey {
        case format, list, kind, version, until, seconds, counts, bytes, sha256
        case builtAt = "built_at"
        case newestEvent = "newest_event"
    }

    func encoded() throws(RecallError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
        } catch {
            throw RecallError(.misconfigured, "the manifest can't be encoded", detail: "\(error)")
        }
    }

    init(_ bytes: [UInt8]) throws(RecallError) {
        do {
            self = try JSONDecoder().decode(RecallManifest.self, from: Data(bytes))
        } catch {
            throw RecallError(.damaged, "the manifest can't be read", detail: "\(String("\(error)".prefix(200)))")
        }
        guard format == 1 else {
            throw RecallError(.incompatible, "the manifest is of another format", detail: "expected 1, found \(format)")
        }
    }

    init(
        list: String, kind: RecallKind, version: UInt64, builtAt: Int64, newestEvent: Int64, until: Int64?,
        seconds: Double, counts: RecallCounts, bytes: Int64, sha256: String
    ) {
        self.list = list
        self.kind = kind
        self.version = version
        self.builtAt = builtAt
        self.newestEvent = newestEvent
        self.until = until
        self.seconds = seconds
        self.counts = counts
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// What went into a list, and what was left out.
package struct RecallCounts: Sendable, Hashable, Codable {
    /// Rows that the query returned, faulty ones too.
    package var rows: Int64 = 0
    /// Rows that were not what the config says.
    package var faults: Int64 = 0
    /// Events that count: inside the window, not after the cut, within the limits.
    package var events: Int64 = 0
    package var users = 0
    /// Items of the list.
    package var items = 0
    package var segments = 0
    /// Scored items of all rows together.
    package var entries = 0
    /// The oldest events, over `limits.events`.
    package var eventsLeftOut: Int64 = 0
    /// Events of users with more than `limits.history`.
    package var historyLeftOut: Int64 = 0
    /// Neighbours in a session beyond the nearest `MeetingLog.reach` on one side of an event.
    package var pairsLeftOut: Int64 = 0
    /// Segments over `limits.segments`.
    package var segmentsLeftOut = 0

    package init() {}

    enum CodingKeys: String, CodingKey {
        case rows, faults, events, users, items, segments, entries
        case eventsLeftOut = "events_left_out"
        case historyLeftOut = "history_left_out"
        case pairsLeftOut = "pairs_left_out"
        case segmentsLeftOut = "segments_left_out"
    }
}
