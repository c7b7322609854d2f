internal import Glibc
internal import Synchronization

/// A listener on a Unix socket that answers as a test says: for answers that no Redis gives, and for exact timing.
///
/// Each accepted connection runs the script on the listener's own thread, one connection after the other.
package final class RedisPeer: Sendable {
    /// What a test does with one connection.
    package typealias Script = @Sendable (Connection) -> Void

    /// One accepted connection, on the listener's thread.
    @safe package final class Connection {
        private let descriptor: Int32
        private var unread: [UInt8] = []
        private var index = 0

        fileprivate init(descriptor: Int32) {
            self.descriptor = descriptor
        }

        /// Waits for one command; `nil` when the client hung up or sent none for ten seconds.
        package func readCommand() -> [[UInt8]]? {
            guard let count = readHeader(UInt8(ascii: "*")) else { return nil }
            var arguments: [[UInt8]] = []
            for _ in 0..<count {
                guard let length = readHeader(UInt8(ascii: "$")), let bytes = readBytes(length + 2) else { return nil }
                arguments.append(Array(bytes.dropLast(2)))
            }
            return arguments
        }

        /// Answers the handshake of a client without password and scripts. `false` when it hung up.
        package func greet() -> Bool {
            readCommand() != nil && write("+OK\r\n")
        }

        /// Sends a text as it is. `false` when the client hung up.
        @discardableResult
        package func write(_ text: String) -> Bool { write(Array(text.utf8)) }

        /// Sends bytes as they are. `false` when the client hung up.
        @discardableResult
        package func write(_ bytes: [UInt8]) -> Bool {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes { part in
                    unsafe send(descriptor, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }

        /// Waits until the client hangs up or is silent for ten seconds; forgets what it sends.
        package func waitForHangUp() {
            while readMore() { unread = [] }
        }

        private func readHeader(_ mark: UInt8) -> Int? {
            guard readBytes(1) == [mark] else { return nil }
            var number = 0
            while let byte = readBytes(1)?.first, byte != 13 { number = number * 10 + Int(byte) - 48 }
            return readBytes(1) == nil ? nil : number
        }

        private func readBytes(_ count: Int) -> [UInt8]? {
            while unread.count - index < count {
                guard readMore() else { return nil }
            }
            defer { index += count }
            return Array(unread[index..<index + count])
        }

        private func readMore() -> Bool {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&poller, 1, 10_000) > 0 else { return false }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return false }
            unread.removeFirst(min(index, unread.count))
            index = 0
            unread += buffer.prefix(count)
            return true
        }
    }

    /// Where it listens, as a URL.
    package let url: String
    private let directory: String
    private let listener: Int32

    /// Listens and runs `script` for each connection until `close`.
    package init(_ script: @escaping Script) throws {
        directory = try makeTemporaryDirectory()
        let path = "\(directory)/peer.sock"
        url = "redis+unix://\(path)"
        listener = try listen(at: path)
        let listener = listener
        try startThread { serve(listener, script) }
    }

    /// Listens for the duration of `body`.
    package static func with<Result>(
        _ script: @escaping Script, _ body: (RedisPeer) async throws -> Result
    ) async throws -> Result {
        let peer = try RedisPeer(script)
        defer { peer.close() }
        return try await body(peer)
    }

    /// Stops listening. A script that runs goes on until its connection ends.
    package func close() {
        // Wakes the thread in `accept`, which closes the descriptor.
        shutdown(listener, Int32(SHUT_RDWR))
        unsafe unlink("\(directory)/peer.sock")
        unsafe rmdir(directory)
    }
}

/// Tells a test that a script got somewhere. One waiter, once.
package final class Gate: Sendable {
    private enum State {
        case closed
        case awaited(CheckedContinuation<Void, Never>)
        case open
    }

    private let state = Mutex(State.closed)

    /// A closed gate.
    package init() {}

    /// Lets the waiter pass, now or later.
    package func open() {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            defer { state = .open }
            if case .awaited(let waiter) = state { return waiter }
            return nil
        }
        waiter?.resume()
    }

    /// Waits for `open`.
    package func opened() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if case .open = state { return true }
                state = .awaited(continuation)
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}

private func serve(_ listener: Int32, _ script: RedisPeer.Script) {
    defer { close(listener) }
    while true {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        // Not for children: a server that another test starts would keep the connection open.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        script(RedisPeer.Connection(descriptor: descriptor))
        close(descriptor)
    }
}

private func listen(at path: String) throws -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, type, 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
        unsafe target.copyBytes(from: path.utf8)
    }
    let length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let isBound = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            unsafe bind(descriptor, address, length) == 0
        }
    }
    guard isBound, listen(descriptor, 16) == 0 else {
        close(descriptor)
        throw RedisServer.Failure(text: "cannot listen: errno \(errno)")
    }
    return descriptor
}
