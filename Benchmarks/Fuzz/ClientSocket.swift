import Glibc

/// A blocking socket to 127.0.0.1, each call bounded by ten seconds. Of one thread.
final class ClientSocket {
    /// One answer as it came.
    struct Answer {
        let status: Int
        /// In lower case.
        let type: String
        /// Whether the server says that nothing follows.
        let isLast: Bool
        let body: [UInt8]
    }

    private let descriptor: Int32
    private(set) var unread: [UInt8] = []
    private(set) var isOverdue = false
    private(set) var wasReset = false
    private var isEnded = false

    init?(port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        // A hundred thousand closed connections would otherwise hold a hundred thousand ports for a minute.
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            return nil
        }
    }

    deinit { close(descriptor) }

    /// Why there was no answer.
    var trouble: String {
        isOverdue ? "ten seconds are over" : wasReset ? "the connection was reset" : "the connection ended"
    }

    /// Sends as much as the other side takes: it may have said no and closed.
    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next answer; `nil` where none comes any more.
    func receive() -> Answer? {
        while true {
            if let answer = next() { return answer }
            guard !isEnded, !isOverdue, !wasReset else { return nil }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                unread += buffer.prefix(count)
            } else if count == 0 {
                isEnded = true
            } else if errno == EAGAIN {
                isOverdue = true
            } else if errno != EINTR {
                wasReset = true
            }
        }
    }

    private func next() -> Answer? {
        guard let end = Self.headEnd(unread) else { return nil }
        let lines = String(decoding: unread[..<end], as: UTF8.self).split(separator: "\r\n")
        let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var (type, length, isLast) = ("", 0, false)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }.lowercased()
            switch line[..<colon].lowercased() {
            case "content-type": type = value
            case "content-length": length = Int(value) ?? 0
            case "connection": isLast = value == "close"
            default: break
            }
        }
        // An answer to HEAD has the length of what it leaves out; nothing follows it before the next head, which begins with
        // the protocol's name.
        let start = end + 4
        let isBare =
            status < 200 || status == 204
            || unread[start...].starts(with: "HTTP/1.1 ".utf8) || (isEnded && unread.count == start)
        let bodyEnd = isBare ? start : start + length
        guard unread.count >= bodyEnd else { return nil }
        let body = Array(unread[start..<bodyEnd])
        unread.removeFirst(bodyEnd)
        return Answer(status: status, type: type, isLast: isLast, body: body)
    }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 0...bytes.count - 4
        where bytes[index] == 0x0D && bytes[index + 1] == 0x0A && bytes[index + 2] == 0x0D && bytes[index + 3] == 0x0A {
            return index
        }
        return nil
    }
}
