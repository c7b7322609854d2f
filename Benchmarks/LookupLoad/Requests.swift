import NIOCore

/// What a run is to do.
struct LoadPlan: Sendable {
    let port: Int
    /// Between two requests that are due; `nil` for the closed loop.
    let interval: TimeAmount?
    let connections: Int
    let deadline: TimeAmount
    let requests: Requests

    /// How long a request that is due waits for a free connection: it would be late behind a long wait, whatever the daemon does.
    var poolPatience: TimeAmount { .nanoseconds(deadline.nanoseconds / 10) }
}

/// The requests of a run, encoded before it starts.
struct Requests: Sendable {
    /// How many there are; they are sent in turn.
    private static let count = 4_096

    let encoded: [ByteBuffer]
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
        encoded = (0..<Self.count).map { _ in
            let asked = (0..<entities).map { _ in Self.next(&random, last) }
            ids.append(asked)
            let body = head + asked.map { "{\"id\":\($0)}" }.joined(separator: ",") + "]}"
            return ByteBuffer(
                string: "POST /v1/lookup HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n"
                    + "x-request-timeout-ms: \(deadline)\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
        }
        self.ids = ids
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
