#if DEBUG
    import Glibc
    import Synchronization
#endif

/// Places where the crash tests end the process as `kill -9` would, named as the test matrix names them.
///
/// In debug builds `TIDEMARK_CRASH_AT=C3:2` ends the process the second time C3 is reached. Release builds have none of it.
enum CrashPoint: String, CaseIterable {
    case leaseTaken = "C0"
    case pageRead = "C1"
    case someCommandsSent = "C2"
    case rowsSent = "C3"
    case rowsAcknowledged = "C4"
    case beforeMarker = "C5"
    case markerSent = "C6"
    case markerAcknowledged = "C7"
    case quarantineWritten = "C8"
    case beforePrune = "C9"
    case loadChunkWritten = "C10"
    case activated = "C11"
    case sweepChunkWritten = "C12"
    case retired = "C13"

    #if DEBUG
        private static let armed: (point: String, hit: Int)? = {
            guard let raw = unsafe getenv("TIDEMARK_CRASH_AT") else { return nil }
            let parts = unsafe String(cString: raw).split(separator: ":")
            guard let point = parts.first else { return nil }
            return (String(point), parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
        }()
        private static let hits = Atomic<Int>(0)

        func reached() {
            guard let armed = Self.armed, armed.point == rawValue else { return }
            if Self.hits.add(1, ordering: .relaxed).newValue == armed.hit { kill(getpid(), SIGKILL) }
        }
    #else
        @inline(__always) func reached() {}
    #endif
}
