import FeatureModel

/// A place in a PostgreSQL source's order of changes, and its text.
///
/// Tracked changes are ordered by transaction, in it stamped rows (by key) before logged deletes (by number):
/// - `xid:1234`: everything from this transaction on is still to be read;
/// - `xid:1234 key:["a","b"]`: everything behind this key among the transaction's stamped rows;
/// - `xid:1234 log:56`: everything behind this entry among the transaction's logged deletes.
///
/// Changes found by a watermark column:
/// - `start`: everything is still to be read;
/// - `end:2026-01-01T00:00:00Z`, `end:42`: a run ended at this watermark. The next run starts a lookback before it, inclusive;
/// - `mid:2026-01-01T00:00:00Z key:["7"]`: in a run, behind this watermark and these tie-breakers, exclusive.
enum PostgresCursor: Hashable {
    case transaction(UInt64)
    case stamp(UInt64, key: [String])
    case log(UInt64, entry: Int64)
    case start
    case end(String)
    case middle(String, ties: [String])

    /// The text that a `ChangeCursor` carries.
    var text: String {
        switch self {
        case .transaction(let xid): "xid:\(xid)"
        case .stamp(let xid, let key): "xid:\(xid) key:\(FlatArray.json(key))"
        case .log(let xid, let entry): "xid:\(xid) log:\(entry)"
        case .start: "start"
        case .end(let watermark): "end:\(watermark)"
        case .middle(let watermark, let ties): "mid:\(watermark) key:\(FlatArray.json(ties))"
        }
    }

    /// Parses a text; `nil` for anything that `text` does not spell.
    init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let tail = parts.count == 2 ? parts[1] : nil
        if parts[0] == "start", tail == nil {
            self = .start
        } else if parts[0].hasPrefix("end:"), tail == nil {
            self = .end(String(parts[0].dropFirst(4)))
        } else if parts[0].hasPrefix("mid:"), let ties = Self.strings(tail, behind: "key:") {
            self = .middle(String(parts[0].dropFirst(4)), ties: ties)
        } else if parts[0].hasPrefix("xid:"), let xid = UInt64(parts[0].dropFirst(4)) {
            if tail == nil {
                self = .transaction(xid)
            } else if let key = Self.strings(tail, behind: "key:") {
                self = .stamp(xid, key: key)
            } else if let tail, tail.hasPrefix("log:"), let entry = Int64(tail.dropFirst(4)) {
                self = .log(xid, entry: entry)
            } else {
                return nil
            }
        } else {
            return nil
        }
        // One spelling a place, so that nothing is read into a text that was cut or edited.
        guard self.text == text else { return nil }
    }

    private static func strings(_ text: String?, behind prefix: String) -> [String]? {
        guard let text, text.hasPrefix(prefix),
            let elements = FlatArray.parse(json: String(text.dropFirst(prefix.count))),
            !elements.isEmpty
        else { return nil }
        var strings: [String] = []
        for element in elements {
            guard case .string(let string) = element else { return nil }
            strings.append(string)
        }
        return strings
    }
}

extension ChangeCursor {
    init(_ cursor: PostgresCursor) {
        self.init(text: cursor.text)
    }
}
