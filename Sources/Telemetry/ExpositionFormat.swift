/// The two spellings of a metrics page.
package enum ExpositionFormat: Sendable, CaseIterable {
    /// Prometheus text 0.0.4, which everything reads.
    case prometheus
    /// OpenMetrics 1.0.
    case openMetrics

    /// What the answer's `Content-Type` says.
    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The spelling that an `Accept` header prefers: OpenMetrics where it is named with a version this speaks and a
    /// weight not below that of plain text, else Prometheus text, also for a header that makes no sense.
    package static func preferred(accept: String?) -> ExpositionFormat {
        guard let accept, accept.utf8.count <= 4_096 else { return .prometheus }
        var open = 0.0
        var plain = 0.0
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map { trimmed($0).lowercased() }
            guard let type = parts.first else { continue }
            let weight = parameter("q", of: parts).flatMap(Double.init) ?? 1
            guard (0...1).contains(weight) else { continue }
            switch type {
            case "application/openmetrics-text":
                guard ["1.0.0", "0.0.1", nil].contains(parameter("version", of: parts)) else { continue }
                open = max(open, weight)
            case "text/plain", "text/*": plain = max(plain, weight)
            default: continue
            }
        }
        return open > 0 && open >= plain ? .openMetrics : .prometheus
    }

    private static func parameter(_ name: String, of parts: [String]) -> String? {
        parts.dropFirst().first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
