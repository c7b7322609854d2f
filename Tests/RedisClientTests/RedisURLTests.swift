import RedisClient
import Testing

struct RedisURLTests {
    @Test(arguments: [
        ("redis://h", RedisEndpoint(address: .host("h", port: 6379))),
        ("redis://127.0.0.1:7000/3", RedisEndpoint(address: .host("127.0.0.1", port: 7000), database: 3)),
        ("redis://[::1]:7000/", RedisEndpoint(address: .host("::1", port: 7000))),
        ("redis://[::1]", RedisEndpoint(address: .host("::1", port: 6379))),
        ("redis://u:p@h", RedisEndpoint(address: .host("h", port: 6379), user: "u", password: "p")),
        ("redis://:p%40%3A%2f%C3%A9@h", RedisEndpoint(address: .host("h", port: 6379), password: "p@:/é")),
        ("redis://u@h", RedisEndpoint(address: .host("h", port: 6379), user: "u")),
        ("rediss://h:1/0", RedisEndpoint(address: .host("h", port: 1), tls: .init())),
        (
            "rediss://h?ca_file=/etc/ca%20x.pem&verify=none",
            RedisEndpoint(address: .host("h", port: 6379), tls: .init(caFile: "/etc/ca x.pem", verifies: false))
        ),
        ("redis+unix:///run/redis.sock", RedisEndpoint(address: .unixSocket(path: "/run/redis.sock"))),
        (
            "redis+unix://u:p@/run/a%40b.sock?db=2",
            RedisEndpoint(address: .unixSocket(path: "/run/a@b.sock"), user: "u", password: "p", database: 2)
        ),
    ])
    func urlNamesAnEndpoint(_ url: String, _ endpoint: RedisEndpoint) throws {
        #expect(try RedisTopology(url: url).primary == endpoint)
    }

    @Test(arguments: [
        "", "redis", "redis:/h", "redis://", "redis://:6379", "redis://h:", "redis://h:0", "redis://h:65536",
        "redis://h:x", "redis://h/x", "redis://h/-1", "redis://h?ca_file=/x", "redis://h?x=1",
        "rediss://h?verify=maybe",
        "rediss://h?ca_file=", "redis://%zz@h", "redis://%ff:x@h", "redis://[::1", "redis://[::1]x", "redis+unix://x",
        "redis+unix://", "redis+unix:///a%00b", "redis+unix:///x?db=y", "http://h", "redis+sentinel://h",
        "redis+cluster://h", "redis://a b",
    ])
    func otherTextIsRefused(_ url: String) {
        let error = #expect(throws: RedisError.self) { try RedisTopology(url: url) }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test func neitherErrorsNorDescriptionsShowThePassword() throws {
        let endpoint = try RedisTopology(url: "redis://user:hunter2@h").primary
        #expect(!"\(endpoint) \(String(reflecting: endpoint))".contains("hunter2"))
        let error = #expect(throws: RedisError.self) { try RedisTopology(url: "redis://user:hunter2@h:port") }
        #expect(error.map { "\($0)".contains("hunter2") } == false)
    }

    @Test func unixSocketPathsFitTheKernelsLimit() throws {
        let longest = "/" + String(repeating: "x", count: 106)
        #expect(throws: Never.self) { try RedisTopology(url: "redis+unix://\(longest)") }
        #expect(throws: RedisError.self) { try RedisTopology(url: "redis+unix://\(longest)x") }
    }
}
