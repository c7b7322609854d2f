import Glibc
import NIOCore

/// Keeps new connections from a listener that will close.
///
/// Closing a listener resets the connections that the kernel completed for it and nobody accepted yet, with requests in them
/// that were sent in good faith. So the kernel is told first to drop what would begin another one, and the rest is accepted
/// in the meantime. A client whose packet is dropped sends it again a second later, and is refused or sent elsewhere then.
enum ListenerFilter {
    /// One step of a socket filter: `struct sock_filter` of linux/filter.h.
    private struct Step {
        let code: UInt16
        let ifTrue: UInt8
        let ifFalse: UInt8
        let value: UInt32
    }

    /// `struct sock_fprog`.
    @unsafe private struct Program {
        let count: UInt16
        let steps: UnsafePointer<Step>?
    }

    private static let attachFilter: CInt = 26
    /// The flags in a TCP header, where the filter of a TCP socket begins, and the one of a packet that opens a connection.
    private static let flags: UInt32 = 13
    private static let opens: UInt32 = 2

    private static let steps = [
        Step(code: 0x30, ifTrue: 0, ifFalse: 0, value: flags),  // load the byte
        Step(code: 0x45, ifTrue: 0, ifFalse: 1, value: opens),  // skip the next step unless the bit is set
        Step(code: 0x06, ifTrue: 0, ifFalse: 0, value: 0),  // drop
        Step(code: 0x06, ifTrue: 0, ifFalse: 0, value: .max),  // pass
    ]

    /// Drops packets that open connections from now on. `false` where the kernel doesn't do that, or it is no TCP listener.
    static func close(_ listener: any Channel) async -> Bool {
        let attached = listener.eventLoop.submit {
            try listener.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { attach($0) } ?? false
        }
        // A listener that is gone already has nothing to keep out.
        return (try? await attached.get()) ?? false
    }

    private static func attach(_ descriptor: CInt) -> Bool {
        unsafe steps.withUnsafeBufferPointer { steps in
            // The kernel copies the steps before the call returns.
            var program = unsafe Program(count: UInt16(steps.count), steps: steps.baseAddress)
            return unsafe setsockopt(
                descriptor, SOL_SOCKET, attachFilter, &program, socklen_t(MemoryLayout<Program>.size)) == 0
        }
    }
}
