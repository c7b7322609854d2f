/// What a body of `/v1/recommend` says.
struct RecommendCheck {
    /// What is wrong with it; `nil` when nothing is.
    private(set) var problem: String?
    private(set) var rung = ""
    /// Parts that were left out, with the reason.
    private(set) var degraded: [(part: String, reason: String)] = []
    private var hasModel = false

    /// Whether it was ranked, and nothing was left out.
    var isWhole: Bool { rung == "ranking" && degraded.isEmpty && problem == nil }

    /// The rung with what was left out.
    var words: String { ([rung] + degraded.map { "\($0.part)=\($0.reason)" }).joined(separator: " ") }

    /// Reads a body; `forbidden` are items that may not stand in it.
    init(_ body: Span<UInt8>, forbidden: Set<Int>) {
        var cursor = Cursor()
        guard readItems(body, &cursor, forbidden), readMeta(body, &cursor) else {
            problem = problem ?? "malformed at byte \(cursor.index)"
            return
        }
        problem = problem ?? contradiction
    }

    private mutating func readItems(_ body: Span<UInt8>, _ cursor: inout Cursor, _ forbidden: Set<Int>) -> Bool {
        guard cursor.take(body, "{\"items\":[") else { return false }
        var ids: Set<Int> = []
        while !cursor.take(body, "]") {
            if !ids.isEmpty, !cursor.take(body, ",") { return false }
            guard cursor.take(body, "{\"id\":"), let id = cursor.integer(body), cursor.take(body, ",\"score\":"),
                cursor.skipNumber(body), cursor.take(body, ",\"source\":"), cursor.text(body) != nil,
                cursor.take(body, "}")
            else { return false }
            if forbidden.contains(id) { problem = problem ?? "a forbidden item" }
            if !ids.insert(id).inserted { problem = problem ?? "an item twice" }
        }
        if ids.isEmpty { problem = problem ?? "no items" }
        return true
    }

    private mutating func readMeta(_ body: Span<UInt8>, _ cursor: inout Cursor) -> Bool {
        guard cursor.take(body, ",\"rung\":"), let rung = cursor.text(body), cursor.take(body, ",\"model\":") else {
            return false
        }
        self.rung = rung
        if !cursor.take(body, "null") {
            guard cursor.text(body) != nil else { return false }
            hasModel = true
        }
        guard cursor.take(body, ",\"version\":"), cursor.take(body, "null") || cursor.text(body) != nil else {
            return false
        }
        if cursor.take(body, ",\"degraded\":{") {
            while !cursor.take(body, "}") {
                if !degraded.isEmpty, !cursor.take(body, ",") { return false }
                guard let part = cursor.text(body), cursor.take(body, ":"), let reason = cursor.text(body) else {
                    return false
                }
                degraded.append((part, reason))
            }
        }
        return cursor.take(body, ",\"request_id\":") && cursor.text(body) != nil && cursor.take(body, "}")
            && cursor.index == body.count
    }

    /// Why the rung can't be the one that goes with what was left out.
    private var contradiction: String? {
        func names(_ parts: String...) -> Bool { degraded.contains { parts.contains($0.part) } }
        switch rung {
        case "ranking":
            if !hasModel { return "ranked by no model" }
            return names("ranker", "user", "features", "catalog", "candidates")
                ? "ranked without what ranking needs" : nil
        case "recall":
            if hasModel { return "a model that did not rank" }
            return names("ranker", "features") ? nil : "not ranked, and no reason"
        case "last_good", "popularity":
            if hasModel { return "a model that did not rank" }
            return names("user", "recall", "candidates", "filters", "catalog") ? nil : "not recalled, and no reason"
        default: return "an unknown rung"
        }
    }
}
