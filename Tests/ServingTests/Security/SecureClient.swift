import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Serving
import TidemarkTesting

/// A client that speaks HTTP/1.1 over TLS.
struct SecureClient: Sendable {
    let port: Int
    /// Whom it trusts, as a path.
    let authority: String
    var identity: TestAuthority.Identity?
    var maximum: TLSVersion?

    /// One connection: what is sent, and the answers one by one. Of one task.
    final class Connection {
        fileprivate var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        fileprivate let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
        private var unread = ""

        fileprivate init(
            _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
        ) {
            iterator = inbound.makeAsyncIterator()
            self.outbound = outbound
        }

        func send(_ text: String) async throws { try await outbound.write(ByteBuffer(string: text)) }

        /// The next answer, by its `content-length`.
        func receive() async throws -> AdminClient.Answer {
            while true {
                if let end = unread.range(of: "\r\n\r\n") {
                    let head = try AdminClient.parse(String(unread[..<end.upperBound]))
                    let rest = unread[end.upperBound...]
                    let length = Int(head.headers["content-length"] ?? "0") ?? 0
                    if rest.utf8.count >= length {
                        let body = String(decoding: Array(rest.utf8.prefix(length)), as: UTF8.self)
                        unread = String(decoding: Array(rest.utf8.dropFirst(length)), as: UTF8.self)
                        return AdminClient.Answer(
                            status: head.status, headers: head.headers, body: body, text: head.text + body)
                    }
                }
                guard let more = try await iterator.next(isolation: #isolation) else {
                    throw AdminClient.Broken(text: unread)
                }
                unread += String(buffer: more)
            }
        }

        func ask(_ method: String, _ path: String, _ body: String? = nil) async throws -> AdminClient.Answer {
            try await send(RawClient.request(method, path, body).replacing("host: test", with: "host: localhost"))
            return try await receive()
        }
    }

    /// Connects for the duration of `body`.
    func with<Result: Sendable>(_ body: (Connection) async throws -> Result) async throws -> Result {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(authority)
        configuration.minimumTLSVersion = .tlsv1
        configuration.maximumTLSVersion = maximum
        configuration.applicationProtocols = ["http/1.1"]
        if let identity {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(identity.certificate).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: identity.key, format: .pem))
        }
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(30))
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: "localhost"))
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await body(Connection(inbound, outbound))
        }
    }

    /// The status of one request over a connection of its own.
    func status(_ method: String, _ path: String, _ body: String? = nil) async throws -> Int {
        try await with { connection in try await connection.ask(method, path, body).status }
    }

    /// Whether it gets no answer at all.
    func isRefused(_ path: String = "/livez") async -> Bool {
        do {
            _ = try await status("GET", path)
            return false
        } catch {
            return true
        }
    }
}

extension TLSMaterial {
    /// Of files.
    init(_ identity: TestAuthority.Identity, clientCA: String? = nil) throws {
        func part(_ path: String) throws -> Part {
            Part(name: path, bytes: Array(try Data(contentsOf: URL(fileURLWithPath: path))))
        }
        self.init(
            certificate: try part(identity.certificate), key: try part(identity.key), clientCA: try clientCA.map(part))
    }
}
