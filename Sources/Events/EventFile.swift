import NIOPosix
import Synchronization

/// A file of JSON lines as a sink, with rotation: at `maximumBytes` it becomes `PATH.1`, that `PATH.2`, and so on; `keep` old ones stay.
///
/// A write is in the kernel's hands when it returns, so that the end of the process loses nothing of it; the disk is made to have it
/// (`fdatasync`) a second later at the latest, before each rotation and at the end. A write that fails, as on a full disk, leaves no part
/// of a line behind. The file may be moved or deleted by others (logrotate): the next write makes it anew. It is locked, since two
/// processes would rotate each other's lines away.
package struct EventFile: EventSink {
    /// Where it is and how large it gets.
    package struct Configuration: Sendable {
        package let path: String
        /// When it is rotated; a single longer line still goes into a file of its own.
        package let maximumBytes: Int
        /// How many old files stay; ≥ 1.
        package let keep: Int
        /// How long written lines may be in memory alone.
        package var syncInterval = Duration.seconds(1)

        package init(path: String, maximumBytes: Int, keep: Int) {
            self.path = path
            self.maximumBytes = max(1, maximumBytes)
            self.keep = max(1, keep)
        }
    }

    private let file: RotatingFile

    /// Opens nothing yet.
    package init(_ configuration: Configuration) {
        file = RotatingFile(configuration)
    }

    package var place: String { file.configuration.path }

    package func write(_ events: [QueuedEvent]) async throws(EventSinkFailure) {
        try await blocking(events.count) { file in
            var lines: [UInt8] = []
            var ends: [Int] = []
            for event in events {
                lines += event.json
                lines.append(UInt8(ascii: "\n"))
                ends.append(lines.count)
            }
            return file.append(lines, ends: ends)
        }
    }

    package func settle() async throws(EventSinkFailure) {
        try await blocking(0) { $0.sync(isLast: false) }
    }

    package func close() async {
        // Nobody is left who could do anything about a failure.
        try? await blocking(0) { $0.close() }
    }

    /// Runs `body`, which is about so many events, on a thread that may block.
    private func blocking(
        _ count: Int, _ body: @escaping @Sendable (RotatingFile) -> EventSinkFailure?
    ) async throws(EventSinkFailure) {
        let failure: EventSinkFailure?
        do {
            failure = try await NIOThreadPool.singleton.runIfActive { [file] in body(file) }
        } catch {
            throw EventSinkFailure("no thread to write with: \(error)", unwritten: Array(0..<count))
        }
        if let failure { throw failure }
    }
}
