import NIOCore
import NIOPosix

/// A client of the admin listener: bytes out, answers in, over a connection of its own.
struct AdminClient: Sendable {
    let port: Int

    /// One answer.
    struct Answer: Sendable {
        let status: Int
        /// Names in lower case.
        let headers: [String: String]
        let body: String
        /// As it came.
        let text: String
    }

    /// What came back was no HTTP.
    struct Broken: Error {
        let text: String
    }

    /// Sends a request and reads its answer.
    func call(
        _ method: String, _ path: String, token: String? = nil, key: String? = nil, body: String = "",
        headers: [(String, String)] = []
    ) async throws -> Answer {
        var fields = headers
        if !fields.contains(where: { $0.0 == "Host" }) { fields.append(("Host", "127.0.0.1:\(port)")) }
        if let token { fields.append(("Authorization", "Bearer \(token)")) }
        if let key { fields.append(("Idempotency-Key", key)) }
        fields += [("Content-Length", "\(body.utf8.count)"), ("Connection", "close")]
        let head = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
        return try Self.parse(await exchange("\(method) \(path) HTTP/1.1\r\n\(head)\r\n\(body)"))
    }

    /// Sends bytes and reads until the listener ends the connection.
    func exchange(_ text: String) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(30))
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var answer = ByteBuffer()
            for try await part in inbound { answer.writeImmutableBuffer(part) }
            return String(buffer: answer)
        }
    }

    static func parse(_ text: String) throws -> Answer {
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        guard let first = lines.first, first.hasPrefix("HTTP/1.1 "), let end = lines.firstIndex(of: ""),
            let status = Int(first.split(separator: " ")[1])
        else { throw Broken(text: text) }
        let pairs = lines[1..<end].compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (line[..<colon].lowercased(), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        return Answer(
            status: status, headers: Dictionary(pairs, uniquingKeysWith: { "\($0), \($1)" }),
            body: lines[(end + 1)...].joined(separator: "\r\n"), text: text)
    }
}
