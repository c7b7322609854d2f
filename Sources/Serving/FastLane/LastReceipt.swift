import Glibc
import NIOCore

/// How long ago the kernel received something on a connection, whether it was read since or not.
enum LastReceipt {
    /// Of `struct tcp_info` in linux/tcp.h: where `tcpi_last_data_recv` is, in milliseconds.
    private static let offset = 52
    private static let length = offset + MemoryLayout<UInt32>.size

    /// `nil` where the kernel doesn't tell, or it is no TCP connection. A system call; to be called on the channel's loop.
    static func age(_ channel: any Channel) -> TimeAmount? {
        let found: TimeAmount?? = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) {
            age(ofDescriptor: $0)
        }
        return found ?? nil
    }

    private static func age(ofDescriptor descriptor: CInt) -> TimeAmount? {
        var information = [UInt8](repeating: 0, count: length)
        var filled = socklen_t(length)
        let status = unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &information, &filled)
        guard status == 0, filled == length else { return nil }
        let milliseconds = unsafe information.withUnsafeBytes {
            unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        }
        return .milliseconds(Int64(milliseconds))
    }
}
