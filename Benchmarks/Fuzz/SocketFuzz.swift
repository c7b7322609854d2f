import Glibc
import TidemarkTesting

/// Requests over sockets to a daemon: bodies that may be anything in requests that are HTTP, and bytes that may be anything.
///
/// Promised: every request that is HTTP gets one answer; every connection ends when the client has ended it; no 5xx but 503 and those
/// that a request's own wish explains (501, 504, 505); bodies of answers are what their type says.
struct SocketFuzz {
    private let world: World
    private let port: Int
    private var mutator: Mutator
    private let others: [[UInt8]]
    private var tally = Tally()
    private var socket: ClientSocket?
    /// How often a connection is used before it is given up for another.
    private var uses = 0

    init(_ world: World, port: Int, seed: UInt64) {
        self.world = world
        self.port = port
        mutator = Mutator(seed: seed ^ 0x534f_434b)
        others = world.bodies.map(\.bytes)
    }

    consuming func run(_ count: Int) -> Tally {
        var fuzz = self
        for _ in 0..<count {
            fuzz.tally.cases += 1
            if fuzz.mutator.random.below(3) == 0 { fuzz.stream() } else { fuzz.request() }
        }
        return fuzz.tally
    }

    // MARK: A body in HTTP

    private mutating func request() {
        let (route, whole) = mutator.random.pick(world.bodies)
        var body = whole
        mutator.mutate(&body, Mutator.json, times: 3, others: others)
        let bytes = HTTPText.request(route.path, body, &mutator.random)
        tally.bytes += bytes.count
        guard let socket = connection() else { return }
        socket.send(bytes)
        guard let answer = socket.receive() else {
            self.socket = nil
            return tally.fail("no answer (\(socket.trouble)): \(BodyFuzz.shown(bytes))")
        }
        check(answer, bytes)
        if answer.status >= 200, answer.isLast { self.socket = nil }
    }

    private mutating func connection() -> ClientSocket? {
        uses += 1
        if let socket, uses % 50 != 0 { return socket }
        socket = ClientSocket(port: port)
        if socket == nil { tally.fail("can't connect: errno \(errno)") }
        return socket
    }

    // MARK: Bytes

    private mutating func stream() {
        var bytes = HTTPText.stream(world, &mutator.random)
        mutator.mutate(&bytes, Mutator.http, times: 4, others: others)
        tally.bytes += bytes.count
        guard let socket = ClientSocket(port: port) else { return tally.fail("can't connect: errno \(errno)") }
        socket.send(bytes)
        // Some are gone before they hear anything.
        if mutator.random.below(20) == 0 { return tally.count("client gone at once") }
        socket.finishSending()
        while let answer = socket.receive() {
            check(answer, bytes)
            if tally.failures.count >= 20 { return }
        }
        if socket.isOverdue { tally.fail("the connection doesn't end: \(BodyFuzz.shown(bytes))") }
        if !socket.unread.isEmpty, !socket.wasReset {
            tally.fail("half an answer, \(BodyFuzz.shown(socket.unread)): \(BodyFuzz.shown(bytes))")
        }
    }

    private mutating func check(_ answer: ClientSocket.Answer, _ bytes: [UInt8]) {
        tally.count("\(answer.status)")
        switch answer.status {
        case 100, 200..<300, 400..<500, 501, 503, 504, 505: break
        default: tally.fail("\(answer.status) \(BodyFuzz.shown(answer.body)): \(BodyFuzz.shown(bytes))")
        }
        let isJSON = answer.type.hasPrefix("application/json") || answer.type.hasPrefix("application/problem+json")
        if isJSON, !answer.body.isEmpty, !StrictJSON.accepts(answer.body[...]) {
            tally.fail("an answer that is no JSON, \(BodyFuzz.shown(answer.body)): \(BodyFuzz.shown(bytes))")
        }
        if answer.status >= 400, answer.type.isEmpty, answer.status != 503 {
            tally.fail("\(answer.status) without words: \(BodyFuzz.shown(bytes))")
        }
    }
}
