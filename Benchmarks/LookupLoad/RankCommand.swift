import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix
import Ranking

struct RankCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rank",
        abstract: "Scores over the Open Inference Protocol v2, for daemons that rank at another server.",
        discussion: """
            Scores POST /v2/models/…/infer with one FP32 tensor of rows by the current version of the folder, one request after \
            the other. Prints where it listens; the end of the input ends it.
            """)

    @Argument(help: "The folder of the model's versions.")
    var folder: String

    func run() throws {
        let versions = ModelFolder(path: folder)
        guard let current = try versions.currentVersion() else { throw Failure("\(folder) has no current version") }
        let version = try versions.read(current)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withPipeliningAssistance: false)
                    try channel.pipeline.syncOperations.addHandler(RankHandler(version))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        say("listening on 127.0.0.1:\(server.localAddress?.port ?? 0)")
        while readLine() != nil {}
        try server.close().wait()
        try group.syncShutdownGracefully()
    }
}

/// A connection to the server that scores, with a booster of its own.
private final class RankHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let booster: Booster
    private let version: String
    private var body = ByteBuffer()

    init(_ version: ModelFolder.Version) throws {
        booster = try Booster(model: version.model)
        self.version = version.manifest.version
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: body.clear()
        case .body(var part): body.writeBuffer(&part)
        case .end:
            let scores = try? score()
            let text =
                scores.map { scores in
                    let numbers = scores.map { "\($0)" }.joined(separator: ",")
                    return #"{"model_name":"remote","model_version":"\#(version)","outputs":[{"name":"scores","#
                        + #""datatype":"FP32","shape":[\#(scores.count)],"data":[\#(numbers)]}]}"#
                } ?? #"{"error":"no tensor of rows of the model's columns"}"#
            var head = HTTPResponseHead(version: .http1_1, status: scores == nil ? .badRequest : .ok)
            head.headers = ["content-type": "application/json", "content-length": "\(text.utf8.count)"]
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    private func score() throws -> [Float] {
        let body = body
        let bytes = body.readableBytesUInt8Span
        var cursor = Cursor()
        guard cursor.skip(bytes, past: "\"shape\":["), let rows = cursor.integer(bytes), cursor.take(bytes, ","),
            let columns = cursor.integer(bytes), try columns == booster.columns, (1...10_000).contains(rows),
            cursor.skip(bytes, past: "\"data\":[")
        else { throw Failure("no tensor") }
        var matrix = FeatureMatrix(rows: rows, columns: columns)
        for place in 0..<rows * columns {
            if place > 0, !cursor.take(bytes, ",") { throw Failure("no tensor") }
            if cursor.take(bytes, "null") { continue }
            let start = cursor.index
            guard cursor.skipNumber(bytes),
                let number = Float(String(decoding: (start..<cursor.index).map { bytes[$0] }, as: UTF8.self))
            else { throw Failure("no number") }
            matrix.values[place] = number
        }
        return try booster.predict(matrix)
    }
}
