import NIOCore
import NIOHTTP1
import RedisClient
import Synchronization

/// What the connections of one event loop share.
final class Room {
    let requests: Requests
    let answer: ByteBuffer
    let timeout: TimeAmount
    let lane: RedisLane
    private var next = 0

    init(_ rooms: Rooms, eventLoop: any EventLoop) throws {
        requests = rooms.requests
        answer = rooms.answer
        timeout = rooms.timeout
        lane = try RedisLane(rooms.redis, eventLoop: eventLoop)
    }

    /// The commands of the next request.
    func takeRequest() -> ByteBuffer {
        next += 1
        if next >= requests.encoded.count { next = 0 }
        return requests.encoded[next]
    }
}

/// A room for each event loop, made when its first connection comes.
final class Rooms: Sendable {
    let requests: Requests
    let answer: ByteBuffer
    let timeout: TimeAmount
    let redis: RedisClient.Configuration
    private let rooms = Mutex<[ObjectIdentifier: NIOLoopBound<Room>]>([:])

    init(requests: Requests, answer: ByteBuffer, timeout: TimeAmount, redis: RedisClient.Configuration) {
        self.requests = requests
        self.answer = answer
        self.timeout = timeout
        self.redis = redis
    }

    /// The room of this loop, on which the caller is.
    func room(of eventLoop: any EventLoop) throws -> Room {
        let bound = try rooms.withLock { rooms in
            if let room = rooms[ObjectIdentifier(eventLoop)] { return room }
            let room = NIOLoopBound(try Room(self, eventLoop: eventLoop), eventLoop: eventLoop)
            rooms[ObjectIdentifier(eventLoop)] = room
            return room
        }
        return bound.value
    }
}

/// Reads rows for each request of a connection and answers the same bytes each time.
final class BareHandler: ChannelInboundHandler, RedisLaneReceiver {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    static var decoder: ByteToMessageHandler<HTTPRequestDecoder> {
        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes))
    }

    private let room: Room
    private var context: ChannelHandlerContext?
    private var isReading = false
    /// Requests of a client that does not wait for the answer.
    private var waiting = 0

    init(room: Room) {
        self.room = room
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .end = unwrapInboundIn(data) else { return }
        waiting += 1
        readNext()
    }

    func laneReceived(_ index: Int, _ bytes: UnsafeRawBufferPointer?) {}

    func laneFinished(_ error: RedisError?) {
        isReading = false
        guard let context else { return }
        // Whoever measures must see failures: a connection that ends is one.
        guard error == nil else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(room.answer), promise: nil)
        readNext()
    }

    private func readNext() {
        guard !isReading, waiting > 0, context != nil else { return }
        waiting -= 1
        isReading = true
        room.lane.read(
            room.takeRequest(), commands: room.requests.commands, keys: room.requests.batch,
            deadline: .now() + room.timeout, receiver: self)
    }
}
