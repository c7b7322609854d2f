import Glibc

/// Writes to a descriptor without waiting, and without making it non-blocking for others who share it.
///
/// `O_NONBLOCK` belongs to the open file, which the shell and other processes may hold too. So a pipe or terminal is opened once
/// more under `/proc/self/fd`, which makes an open file of our own; a socket is written with `MSG_DONTWAIT`; a file needs
/// neither. Where opening again is forbidden, the descriptor is polled before each write.
struct LogOutput: ~Copyable {
    private enum Way {
        case file
        case socket
        case own
        case polled
    }

    private let descriptor: Int32
    private let way: Way

    init(_ shared: Int32) {
        // Without this the first write into a pipe that nobody reads ends the process.
        signal(SIGPIPE, SIG_IGN)
        var status = stat()
        guard unsafe fstat(shared, &status) == 0 else {
            descriptor = shared
            way = .polled
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFSOCK:
            descriptor = shared
            way = .socket
        case S_IFREG:
            descriptor = shared
            way = .file
        default:
            let own = unsafe open("/proc/self/fd/\(shared)", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            descriptor = own >= 0 ? own : shared
            way = own >= 0 ? .own : .polled
        }
    }

    deinit {
        if way == .own { close(descriptor) }
    }

    /// Writes as much as goes at once.
    ///
    /// - Returns: How many bytes went; 0 when none did, for whatever reason.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        if way == .polled && !isWritable { return 0 }
        return unsafe bytes.withUnsafeBytes { raw in
            while true {
                let written =
                    if way == .socket {
                        unsafe send(descriptor, raw.baseAddress, raw.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
                    } else {
                        unsafe Glibc.write(descriptor, raw.baseAddress, raw.count)
                    }
                if written < 0 && errno == EINTR { continue }
                return max(0, written)
            }
        }
    }

    private var isWritable: Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&request, 1, 0) == 1 && request.revents & Int16(POLLOUT) != 0
    }
}
