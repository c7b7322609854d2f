import TidemarkTesting

/// Requests as bytes: well-formed ones, and what they are mutated from.
enum HTTPText {
    private static let gets = [
        "/livez", "/readyz", "/readyz?verbose", "/health", "/metrics", "/openapi.json", "/v2/health/live",
        "/v2/health/ready", "/nothing",
        "/v1/lookup", "/",
    ]

    private static let headers = [
        "accept: */*", "user-agent: fuzz", "content-type: application/json", "x-request-id: 4711",
        "x-request-timeout-ms: 2000",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "accept: application/openmetrics-text",
        "cookie: a=b",
    ]

    /// A request that is HTTP, about a body that may be anything.
    static func request(_ path: String, _ body: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        let isChunked = random.below(5) == 0
        var head = "POST \(path) HTTP/1.1\r\nhost: fuzz\r\n"
        for _ in 0..<random.below(4) { head += random.pick(headers) + "\r\n" }
        head += isChunked ? "transfer-encoding: chunked\r\n\r\n" : "content-length: \(body.count)\r\n\r\n"
        var bytes = Array(head.utf8)
        guard isChunked else { return bytes + body }
        var rest = body[...]
        while !rest.isEmpty {
            let chunk = rest.prefix(1 + random.below(300))
            bytes += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8)
            rest = rest.dropFirst(chunk.count)
        }
        return bytes + Array("0\r\n\r\n".utf8)
    }

    /// One or a few requests that are HTTP, behind each other.
    static func stream(_ world: World, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0...random.below(3) {
            if random.below(3) == 0 {
                let method = random.pick(["GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
                bytes += Array(
                    "\(method) \(random.pick(gets)) HTTP/1.1\r\nhost: fuzz\r\n\(random.pick(headers))\r\n\r\n".utf8)
            } else {
                let (route, body) = random.pick(world.bodies)
                bytes += request(route.path, body, &random)
            }
        }
        return bytes
    }
}
