import FoundationEssentials
import NIOCore

/// Requests of a file. Answers of `/v1/recommend` are judged; of others only the status counts.
struct PreparedRequests: RequestSet {
    private struct Line: Decodable {
        struct Step: Decodable {
            let path: String
            let body: String
        }

        let tag: String?
        let steps: [Step]
    }

    let exchanges: [[ByteBuffer]]
    /// The pipeline of each, or another name for what is asked; `nil` where the last answer isn't judged.
    private let tags: [String?]
    private let forbidden: Set<Int>

    /// `deadline` in milliseconds.
    init(file: String, forbidden: String?, deadline: Int) throws {
        let decoder = JSONDecoder()
        let lines = try Self.read(file).split(separator: UInt8(ascii: "\n")).map {
            try decoder.decode(Line.self, from: Data($0))
        }
        guard !lines.isEmpty, lines.allSatisfy({ !$0.steps.isEmpty }) else {
            throw Failure("\(file) has no requests, or one without a step")
        }
        exchanges = lines.map { $0.steps.map { Requests.post($0.path, $0.body, deadline: deadline) } }
        tags = lines.map { $0.steps.last?.path == "/v1/recommend" ? $0.tag ?? "" : nil }
        let ids = try forbidden.map { try Self.read($0).split(separator: UInt8(ascii: "\n")) } ?? []
        self.forbidden = Set(ids.compactMap { Int(String(decoding: $0, as: UTF8.self)) })
        guard self.forbidden.count == ids.count else {
            throw Failure("a forbidden id is no whole number, or there twice")
        }
    }

    private static func read(_ file: String) throws -> Data {
        try Data(contentsOf: URL(filePath: file))
    }

    func judge(_ exchange: Int, _ body: Span<UInt8>) -> Verdict {
        guard let tag = tags[exchange] else { return Verdict(fate: .whole) }
        let check = RecommendCheck(body, forbidden: forbidden)
        return Verdict(
            fate: check.isWhole ? .whole : .degraded, isWrong: check.problem != nil,
            kind: "\(tag) \(check.words)\(check.problem.map { " WRONG: \($0)" } ?? "")")
    }
}
