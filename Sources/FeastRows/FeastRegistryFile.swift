import Glibc
import NIOPosix
import OnlineStore
import Synchronization

/// Feast's registry in a file that others write. Reads it when it has changed, on a thread that may wait. Free to share.
final class FeastRegistryFile: Sendable {
    /// What tells one state of the file from another.
    struct Stamp: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
        let bytes: Int64
        let seconds: Int64
        let nanoseconds: Int64

        /// Of the last change, in microseconds since 1970.
        var modifiedAt: Int64 { seconds &* 1_000_000 &+ nanoseconds / 1_000 }
    }

    /// A whole file, and when it was like this.
    struct Contents: Sendable {
        let stamp: Stamp
        let bytes: [UInt8]
        /// Whether another state would have another stamp. A file that was written just now may be written again under the same
        /// one, since the file system's clock stands still for some milliseconds at a time.
        let isSettled: Bool
    }

    let path: String

    init(path: String) {
        self.path = path
    }

    /// The file's bytes, unless it is as it was under `known`.
    func contents(unless known: Stamp?) async throws(StoreError) -> Contents? {
        let path = path
        let result: Result<Contents?, StoreError>
        do {
            result = try await NIOThreadPool.singleton.runIfActive { Self.read(path, unless: known) }
        } catch {
            throw StoreError(.unavailable, "the reading of Feast's registry was cancelled")
        }
        return try result.get()
    }

    private static func read(_ path: String, unless known: Stamp?) -> Result<Contents?, StoreError> {
        let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(trouble(path, reason(errno))) }
        defer { close(descriptor) }
        guard let before = stamp(descriptor) else { return .failure(trouble(path, "it is no regular file")) }
        if before == known { return .success(nil) }
        guard before.bytes <= FeastRegistry.maximumBytes else {
            return .failure(trouble(path, "it is over \(FeastRegistry.maximumBytes) bytes"))
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(before.bytes))
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= FeastRegistry.maximumBytes {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return .failure(trouble(path, reason(errno))) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        // Feast writes it in place: what changed meanwhile is read again at the next look.
        guard stamp(descriptor) == before, bytes.count == before.bytes else {
            return .failure(StoreError(.unavailable, "Feast's registry changes while it is read", detail: path))
        }
        return .success(Contents(stamp: before, bytes: bytes, isSettled: abs(now() &- before.modifiedAt) > 100_000))
    }

    /// Microseconds since 1970.
    private static func now() -> Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    private static func reason(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }

    private static func trouble(_ path: String, _ reason: String) -> StoreError {
        StoreError(.misconfigured, "Feast's registry can't be read", detail: "\(path): \(reason)")
    }

    private static func stamp(_ descriptor: Int32) -> Stamp? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Stamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), bytes: Int64(status.st_size),
            seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
    }
}
