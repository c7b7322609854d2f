// With tokens linked, the compiler takes `stat` for a part of this one.
import CoreFoundation
import Glibc
import Synchronization

/// The file that the audit log is appended to. Its methods block: call them from a thread that may.
///
/// It is opened for each append, which is rare, so that it can be moved away (logrotate) without a signal. At
/// `maximumBytes` it is moved to `PATH.1` in place of the one before.
package final class AuditFile: Sendable {
    /// Why lines could not be written.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    let path: String
    private let maximumBytes: Int
    /// Appends of several requests come one after the other.
    private let turn = Mutex(())

    /// `maximumBytes` is when it is moved away.
    package init(path: String, maximumBytes: Int = 64 << 20) {
        self.path = path
        self.maximumBytes = maximumBytes
    }

    /// Appends lines, and returns when they are on the disk.
    package func append(_ lines: [UInt8]) throws(Failure) {
        try turn.withLock { _ throws(Failure) in
            try rotateIfFull(adding: lines.count)
            let descriptor = try open()
            defer { close(descriptor) }
            var bytes = lines[...]
            // A line that a full disk cut stays alone.
            if try !endsInLineFeed(descriptor) { bytes = [UInt8(ascii: "\n")] + bytes }
            while !bytes.isEmpty {
                let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw failure("written") }
                bytes = bytes.dropFirst(count)
            }
            guard fdatasync(descriptor) == 0 else { throw failure("written") }
        }
    }

    /// Whether it can be opened for writing, which makes it.
    package func check() throws(Failure) {
        try turn.withLock { _ throws(Failure) in
            _ = close(try open())
        }
    }

    /// The last `limit` bytes, from a line's beginning on; nothing where there is no file.
    package func tail(_ limit: Int) throws(Failure) -> [UInt8] {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return [] }
            throw failure("read")
        }
        defer { close(descriptor) }
        let size = try size(descriptor)
        let start = max(0, size - limit)
        var bytes = [UInt8](repeating: 0, count: size - start)
        var filled = 0
        while filled < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe pread(descriptor, $0.baseAddress?.advanced(by: filled), $0.count - filled, off_t(start + filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        bytes.removeSubrange(filled...)
        guard start > 0 else { return bytes }
        return Array(bytes.drop { $0 != UInt8(ascii: "\n") }.dropFirst())
    }

    private func open() throws(Failure) -> Int32 {
        let descriptor = unsafe Glibc.open(
            path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, mode_t(0o600))
        guard descriptor >= 0 else { throw failure("opened") }
        do throws(Failure) {
            _ = try size(descriptor)
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    private func size(_ descriptor: Int32) throws(Failure) -> Int {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("opened") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(description: "the audit log is no regular file") }
        return Int(status.st_size)
    }

    private func endsInLineFeed(_ descriptor: Int32) throws(Failure) -> Bool {
        let size = try size(descriptor)
        guard size > 0 else { return true }
        var last: UInt8 = 0
        guard unsafe pread(descriptor, &last, 1, off_t(size - 1)) == 1 else { throw failure("read") }
        return last == UInt8(ascii: "\n")
    }

    private func rotateIfFull(adding more: Int) throws(Failure) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            Int(status.st_size) + more > maximumBytes, status.st_size > 0
        else { return }
        guard unsafe rename(path, "\(path).1") == 0 else { throw failure("moved") }
    }

    private func failure(_ what: String) -> Failure {
        Failure(description: "the audit log can't be \(what): \(unsafe String(cString: strerror(errno)))")
    }
}
