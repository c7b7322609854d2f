import ArgumentParser
import Glibc
import NIOCore
import NIOPosix
import RedisClient

/// What a lookup costs at the least: an HTTP/1.1 server that reads as many rows for each request as a lookup would and
/// answers bytes that were made before. It parses no body, looks at no row and checks nothing.
@main
struct LookupBare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lookup-bare",
        abstract: "Reads rows of Redis for each request and answers fixed bytes: the reference for lookup throughput.")

    @Option(help: "The port of 127.0.0.1 to listen on; 0 for a free one, which it prints.")
    var port = 0

    @Option(help: "The URL of the Redis server.")
    var redis: String

    @Option(help: "A file with one key a line. Requests take their keys from it in turn.")
    var keysFile: String

    @Option(help: "A file with the bytes to answer.")
    var bodyFile: String

    @Option(help: "Keys a request.")
    var batch = 3

    @Option(help: "Event loops; each has connections to Redis of its own.")
    var loops = 2

    @Option(help: "Milliseconds until a read is given up.")
    var timeout = 1_000

    func validate() throws {
        guard (0...65_535).contains(port), (1...100_000).contains(batch), (1...64).contains(loops),
            (1...60_000).contains(timeout)
        else { throw ValidationError("a number is out of its range") }
    }

    func run() async throws {
        let rooms = Rooms(
            requests: try Requests(keys: readFile(keysFile), batch: batch),
            answer: Self.answer(try readFile(bodyFile)), timeout: .milliseconds(Int64(timeout)),
            redis: RedisClient.Configuration(topology: try RedisTopology(url: redis)))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let room = try rooms.room(of: channel.eventLoop)
                    try channel.pipeline.syncOperations.addHandlers([
                        BareHandler.decoder, BareHandler(room: room),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        print("listening on 127.0.0.1:\(server.localAddress?.port ?? 0)")
        // Whoever reads it through a pipe waits for it.
        fflush(nil)
        try await server.closeFuture.get()
    }

    private static func answer(_ body: ByteBuffer) -> ByteBuffer {
        var answer = ByteBuffer(
            string: "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \(body.readableBytes)\r\n\r\n"
        )
        answer.writeImmutableBuffer(body)
        return answer
    }
}
