import NIOCore

/// What a run is to do.
struct LoadPlan: Sendable {
    let port: Int
    /// Between two requests that are due; `nil` for the closed loop.
    let interval: TimeAmount?
    let connections: Int
    let deadline: TimeAmount
    /// How often a request that is refused is sent again.
    let retries: Int
    let requests: any RequestSet

    /// How long a request that is due waits for a free connection: it would be late behind a long wait, whatever the daemon does.
    var poolPatience: TimeAmount { .nanoseconds(deadline.nanoseconds / 10) }
}

/// The requests of a run, encoded before it starts, with what a right answer to each is.
protocol RequestSet: Sendable {
    /// What is sent, in turn: each is one or more requests, the next when the one before has its answer.
    var exchanges: [[ByteBuffer]] { get }
    /// Judges the body of the last answer of an exchange, which had the status 200.
    func judge(_ exchange: Int, _ body: Span<UInt8>) -> Verdict
}

/// What an answer of 200 is worth.
struct Verdict {
    let fate: Fate
    /// Whether it isn't an answer to the request.
    var isWrong = false
    /// What answers are counted by besides their fate.
    var kind: String?
}

/// Lookups of rows by chance whose values are a function of the id.
struct Requests: RequestSet {
    /// How many there are; they are sent in turn.
    private static let count = 4_096

    let exchanges: [[ByteBuffer]]
    /// The entities of each.
    let ids: [[Int]]
    let views: Int
    let features: Int

    init(entities: Int, last: Int, views: Int, features: Int, deadline: Int, seed: UInt64) {
        self.views = views
        self.features = features
        let names = (0..<views).flatMap { view in (0..<features).map { "\"load_\(view):f\($0)\"" } }
        let head = "{\"features\":[\(names.joined(separator: ","))],\"entities\":["
        var random = seed
        var ids: [[Int]] = []
        exchanges = (0..<Self.count).map { _ in
            let asked = (0..<entities).map { _ in Self.next(&random, last) }
            ids.append(asked)
            let body = head + asked.map { "{\"id\":\($0)}" }.joined(separator: ",") + "]}"
            return [Self.post("/v1/lookup", body, deadline: deadline)]
        }
        self.ids = ids
    }

    /// A request as it stands on the wire; `deadline` in milliseconds.
    static func post(_ path: String, _ body: String, deadline: Int) -> ByteBuffer {
        ByteBuffer(
            string: "POST \(path) HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n"
                + "x-request-timeout-ms: \(deadline)\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    func judge(_ exchange: Int, _ body: Span<UInt8>) -> Verdict {
        let check = AnswerCheck(body, ids: ids[exchange], self)
        return Verdict(
            fate: check.failed > 0 ? .degraded : check.missing > 0 ? .missing : .whole, isWrong: check.isWrong)
    }

    /// Splitmix64.
    private static func next(_ state: inout UInt64, _ last: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return Int((bits ^ bits >> 31) % UInt64(last)) + 1
    }

    /// What the source has for a feature of an entity.
    func value(_ id: Int, _ place: Int) -> Int { id * 1_000 + place / features * 100 + place % features }
}
