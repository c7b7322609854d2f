internal import Dispatch
internal import Glibc
internal import Synchronization

/// What a `RawClient` waited for and did not get.
package struct ClientError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// An answer as it came over the wire.
package struct RawAnswer: Sendable {
    package let status: Int
    /// By lower-case name.
    package let headers: [String: String]
    package let body: String
}

/// A socket to the daemon on which a test sends and reads what it likes. Each call waits ten seconds at most.
package final class RawClient: Sendable {
    private struct State {
        var unread: [UInt8] = []
        var isClosed = false
    }

    private let descriptor: Int32
    /// One each way: who waits for an answer must not keep a request from being sent.
    private let sending = DispatchQueue(label: "raw client, sending")
    private let receiving = DispatchQueue(label: "raw client, receiving")
    private let state = Mutex(State())

    /// Connects to a port of 127.0.0.1.
    package init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if var size = receiveBuffer {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw ClientError("connect: errno \(code)")
        }
    }

    deinit { close() }

    /// Closes it. With `resetting` the other side sees the connection broken.
    package func close(resetting: Bool = false) {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        guard !wasClosed else { return }
        if resetting {
            var option = linger(l_onoff: 1, l_linger: 0)
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
        Glibc.close(descriptor)
    }

    /// Says that nothing more will be sent.
    package func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends text as it is.
    package func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// Sends bytes as they are.
    package func send(_ bytes: [UInt8]) async throws {
        try await on(sending) { [descriptor] in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes {
                    unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw ClientError("send: errno \(errno)") }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// The next answer. `isHead`: it has no body whatever its length says.
    package func receive(isHead: Bool = false) async throws -> RawAnswer {
        try await on(receiving) { [self] in
            var bytes = state.withLock { $0.unread }
            while true {
                if let (answer, length) = Self.parse(bytes, isHead: isHead) {
                    let rest = Array(bytes[length...])
                    state.withLock { $0.unread = rest }
                    return answer
                }
                let more = readSome()
                guard !more.isEmpty else {
                    throw ClientError("no answer: \(String(decoding: bytes, as: UTF8.self)), errno \(errno)")
                }
                bytes += more
            }
        }
    }

    /// Waits for the end of the connection; what came before it.
    package func receiveEnd() async throws -> String {
        try await on(receiving) { [self] in
            var bytes = state.withLock { $0.unread }
            while true {
                let more = readSome()
                if more.isEmpty {
                    guard errno != EAGAIN else { throw ClientError("the connection stays open") }
                    return String(decoding: bytes, as: UTF8.self)
                }
                bytes += more
            }
        }
    }

    /// Sends a request and receives its answer.
    package func ask(
        _ method: String, _ path: String, _ body: String? = nil, headers: [String] = []
    ) async throws -> RawAnswer {
        try await send(Self.request(method, path, body, headers: headers))
        return try await receive(isHead: method == "HEAD")
    }

    /// A request as HTTP/1.1 writes it; the length of a body comes by itself.
    package static func request(
        _ method: String, _ path: String, _ body: String? = nil, headers: [String] = []
    ) -> String {
        var lines = ["\(method) \(path) HTTP/1.1", "host: test"] + headers
        if let body { lines.append("content-length: \(body.utf8.count)") }
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
    }

    private func readSome() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        errno = 0
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        return count <= 0 ? [] : Array(buffer.prefix(count))
    }

    private func on<Result: Sendable>(
        _ queue: DispatchQueue, _ work: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try work() }) }
        }
    }

    private static func parse(_ bytes: [UInt8], isHead: Bool) -> (RawAnswer, Int)? {
        guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: "\r\n\r\n".utf8) }) else {
            return nil
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...]
            headers[line[..<colon].lowercased()] = String(value.drop { $0 == " " })
        }
        let length = isHead || status < 200 || status == 204 ? 0 : Int(headers["content-length"] ?? "0") ?? 0
        let start = end + 4
        guard bytes.count >= start + length else { return nil }
        let body = String(decoding: bytes[start..<start + length], as: UTF8.self)
        return (RawAnswer(status: status, headers: headers, body: body), start + length)
    }
}
