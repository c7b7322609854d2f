internal import Glibc
package import RedisClient
internal import Synchronization

/// A `redis-server` of a test's own: on a Unix socket in a temporary directory, and on a free TCP port if asked.
///
/// Use `RedisServer.with { server in … }`, which always ends the process and removes the directory. It persists nothing
/// unless its options say so.
package final class RedisServer: Sendable {
    /// How to start it.
    package struct Options: Sendable {
        /// Lines of `redis.conf`; they come last and win.
        package var configuration: [String] = []
        /// Whether to listen on a TCP port of 127.0.0.1 too.
        package var listensOnTCP = false
        /// Whether to listen on a TLS port of 127.0.0.1, under a certificate of an authority made for it.
        package var listensOnTLS = false

        package init() {}
    }

    /// How to end it.
    package enum Ending: Sendable {
        /// SIGTERM: it saves first, if it persists.
        case terminate
        /// SIGKILL.
        case kill
    }

    /// What went wrong with the process.
    package struct Failure: Error {
        package let text: String
    }

    /// Where it listens.
    package let socketPath: String
    /// Its data, its log and its certificates.
    package let directory: String
    /// The plain TCP port, or 0.
    package let port: Int
    /// The TLS port, or 0.
    package let tlsPort: Int
    private let process: Mutex<pid_t?>

    /// Whether there is a `redis-server` to start.
    package static let isAvailable: Bool = ["/usr/bin", "/usr/local/bin", "/bin"].contains { directory in
        unsafe access("\(directory)/redis-server", X_OK) == 0
    }

    /// Starts a server for the duration of `body`.
    package static func with<Result>(
        _ options: Options = Options(), _ body: (RedisServer) async throws -> Result
    ) async throws -> Result {
        let server = try await onOwnThread { try RedisServer(options) }
        do {
            let result = try await body(server)
            try await onOwnThread { server.remove() }
            return result
        } catch {
            server.remove()
            throw error
        }
    }

    /// Starts a server; call `remove` at the end.
    package init(_ options: Options = Options()) throws {
        let directory = try makeTemporaryDirectory()
        if options.listensOnTLS { try makeCertificates(in: directory) }
        // A port found free may be taken by the time the server asks for it.
        var tries = options.listensOnTCP || options.listensOnTLS ? 5 : 1
        var started: (pid: pid_t, port: Int, tlsPort: Int)?
        while started == nil {
            tries -= 1
            let port = options.listensOnTCP ? try freePort() : 0
            let tlsPort = options.listensOnTLS ? try freePort() : 0
            let lines = Self.configuration(directory, port: port, tlsPort: tlsPort) + options.configuration
            try write(lines.joined(separator: "\n") + "\n", to: "\(directory)/redis.conf")
            do { started = (try launch(directory), port, tlsPort) } catch  where tries > 0 { continue }
        }
        self.directory = directory
        socketPath = "\(directory)/redis.sock"
        port = started?.port ?? 0
        tlsPort = started?.tlsPort ?? 0
        process = Mutex(started?.pid)
    }

    deinit {
        remove()
    }

    /// The URL of the Unix socket; `user:password@` may stand before it.
    package var url: String { "redis+unix://\(socketPath)" }

    /// The PEM file of the authority behind the TLS port.
    package var caFile: String { "\(directory)/ca.pem" }

    /// Its server's topology, over the Unix socket.
    package var topology: RedisTopology { RedisTopology(RedisEndpoint(address: .unixSocket(path: socketPath))) }

    /// Ends the process and waits for its end. No harm if it ended already.
    package func stop(_ ending: Ending = .terminate) {
        let pid = process.withLock { process in
            defer { process = nil }
            return process
        }
        guard let pid else { return }
        kill(pid, ending == .kill ? SIGKILL : SIGTERM)
        // A paused process acts on no signal but SIGKILL.
        kill(pid, SIGCONT)
        _ = waitpid(pid, nil, 0)
    }

    /// Stops the process where it stands; connections stay open and nothing answers.
    package func pause() { signal(SIGSTOP) }

    /// Lets a paused process go on.
    package func resume() { signal(SIGCONT) }

    /// Starts it again after `stop`, on the same socket and ports; with `erasing`, as an empty server.
    package func start(erasing: Bool = false) throws {
        if erasing { try run(["/bin/rm", "-rf", "\(directory)/dump.rdb", "\(directory)/appendonlydir"]) }
        let pid = try launch(directory)
        process.withLock { $0 = pid }
    }

    /// Ends the process and removes its directory.
    package func remove() {
        stop(.kill)
        do { try run(["/bin/rm", "-rf", directory]) } catch { print("could not remove \(directory): \(error)") }
    }

    /// Runs one command over a connection of its own, as the default user unless `endpoint` says otherwise.
    @discardableResult
    package func command(
        _ name: StaticString, _ arguments: String..., endpoint: RedisEndpoint? = nil
    ) async throws -> RedisReply {
        var pipeline = RedisPipeline()
        pipeline.append(name, arguments.map { .text($0) })
        return try await send(pipeline, endpoint: endpoint)
    }

    /// How many connections it took since it was started, the one that asks included.
    package func connectionsReceived() async throws -> Int {
        let text = String(decoding: try await command("INFO", "stats").bytes() ?? [], as: UTF8.self)
        let line = text.split(separator: "\r\n").first { $0.hasPrefix("total_connections_received:") }
        guard let count = line.flatMap({ Int($0.drop { $0 != ":" }.dropFirst()) }) else {
            throw Failure(text: "INFO names no connections")
        }
        return count
    }

    /// Runs commands over a connection of its own; returns the last reply.
    @discardableResult
    package func send(_ pipeline: RedisPipeline, endpoint: RedisEndpoint? = nil) async throws -> RedisReply {
        var configuration = RedisClient.Configuration(topology: endpoint.map { RedisTopology($0) } ?? topology)
        configuration.connections = 1
        configuration.connectTimeout = .seconds(10)
        let client = try RedisClient(configuration)
        do {
            let deadline = ContinuousClock.now + .seconds(10)
            let replies = try await client.send(pipeline, deadline: deadline, idempotent: false) { $0 }
            await client.close()
            return replies.last ?? .null
        } catch {
            await client.close()
            throw error
        }
    }

    private static func configuration(_ directory: String, port: Int, tlsPort: Int) -> [String] {
        let lines = [
            "port \(port)", "bind 127.0.0.1", "unixsocket \(directory)/redis.sock", "unixsocketperm 700",
            "dir \(directory)", "save \"\"", "appendonly no", "daemonize no", "logfile \"\"", "databases 4",
        ]
        guard tlsPort != 0 else { return lines }
        return lines + [
            "tls-port \(tlsPort)", "tls-cert-file \(directory)/server.pem", "tls-key-file \(directory)/server.key",
            "tls-ca-cert-file \(directory)/ca.pem", "tls-auth-clients no",
        ]
    }

    private func signal(_ number: Int32) {
        if let pid = process.withLock({ $0 }) { kill(pid, number) }
    }
}

/// Starts a server under the configuration of its directory and waits until it says that it listens.
private func launch(_ directory: String) throws -> pid_t {
    let (pid, output) = try spawn(["redis-server", "\(directory)/redis.conf"])
    // Closing the pipe afterwards is fine: Redis ignores SIGPIPE.
    defer { close(output) }
    guard waitForText("eady to accept connections", on: output) else {
        kill(pid, SIGKILL)
        _ = waitpid(pid, nil, 0)
        throw RedisServer.Failure(text: "redis-server did not start")
    }
    return pid
}
