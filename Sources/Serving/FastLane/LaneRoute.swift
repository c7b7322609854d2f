import NIOCore

/// The routes that are answered on the event loop that read the request.
enum LaneRoute {
    case lookup(LookupRoute)
    case recommend

    static let all = LookupRoute.allCases.map { LaneRoute.lookup($0) } + [.recommend]

    init?(path: String) {
        switch path {
        case "/v1/lookup": self = .lookup(.lookup)
        case "/get-online-features": self = .lookup(.feast)
        case "/v1/recommend": self = .recommend
        default:
            // A query means nothing here, but it is allowed to be there.
            guard let mark = path.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
            self.init(path: String(path[..<mark]))
        }
    }

    var label: RouteLabel {
        switch self {
        case .lookup(let route): route.label
        case .recommend: .recommend
        }
    }
}

/// A request that a connection has under way on its loop. Begun by its route; after `run` it answers through the connection's handler,
/// unless it is abandoned.
protocol LaneCall: AnyObject {
    /// Adds to the body. `expecting` is what the head announced.
    func append(_ bytes: ByteBuffer, expecting: Int?)
    /// The body is complete.
    func run()
    /// The client is gone: nobody wants the answer.
    func abandon()
}

extension ByteBuffer {
    /// Adds a part of a body; the first is taken as it is. `expecting` is what the head announced.
    mutating func append(_ bytes: ByteBuffer, expecting: Int?) {
        guard readableBytes > 0 else { return self = bytes }
        if let expecting, writableBytes < bytes.readableBytes {
            reserveCapacity(minimumWritableBytes: max(0, expecting - readableBytes))
        }
        writeImmutableBuffer(bytes)
    }
}
