import Glibc
import Synchronization

/// Wakes a call that waits for PostgreSQL, from any thread. Once fired it stays so.
package final class PostgresInterrupt: Sendable {
    /// Readable once fired; -1 where the process is out of descriptors, and then only the deadline ends a wait.
    let descriptor: Int32
    private let writer: Int32
    private let fired = Atomic<Bool>(false)

    package init() {
        var ends: [Int32] = [-1, -1]
        let status = unsafe ends.withUnsafeMutableBufferPointer { unsafe pipe($0.baseAddress) }
        for end in ends where status == 0 {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        descriptor = status == 0 ? ends[0] : -1
        writer = status == 0 ? ends[1] : -1
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        close(writer)
    }

    /// Ends the present wait and every later one.
    package func fire() {
        guard !fired.exchange(true, ordering: .acquiringAndReleasing), writer >= 0 else { return }
        var byte: UInt8 = 1
        _ = unsafe write(writer, &byte, 1)
    }

    /// Whether it was fired.
    package var isFired: Bool { fired.load(ordering: .acquiring) }
}
