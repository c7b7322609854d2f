import FeatureModel
import Logging
import NIOPosix
import Synchronization

/// Who changed what: the newest changes in memory, all of them in a file.
///
/// Nothing is changed that can't be recorded: while a line is owed to the file, `prepare` fails and with it every change.
package final class AuditLog: Sendable {
    /// How many changes are remembered.
    static let remembered = 1_000
    /// How much of the file is read at the start, in bytes.
    private static let tailBytes = 1 << 20

    private struct State {
        /// Oldest first.
        var entries: [DocumentValue] = []
        var owed: [[UInt8]] = []
        var failure: String?
    }

    private let file: AuditFile?
    private let state = Mutex(State())

    /// - Parameter path: The file; `nil` keeps the log in memory alone.
    package init(path: String?) {
        file = path.map { AuditFile(path: $0) }
    }

    init(file: AuditFile) {
        self.file = file
    }

    /// Why changes are refused now; `nil` while they are not.
    package var failure: String? { state.withLock { $0.failure } }

    /// Takes what the file holds into memory, before the first request.
    package func recover() async {
        guard let file else { return }
        let tail = try? await NIOThreadPool.singleton.runIfActive { try file.tail(Self.tailBytes) }
        let lines = (tail ?? []).split(separator: UInt8(ascii: "\n")).suffix(Self.remembered)
        let entries = lines.compactMap { AdminJSON.decode(Array($0)) }
        state.withLock { $0.entries = entries + $0.entries }
        try? await prepare()
    }

    /// Writes what is owed.
    ///
    /// - Throws: `AuditFile.Failure` while the file can't be written.
    func prepare() async throws {
        guard let file else { return }
        let owed = state.withLock { state in
            defer { state.owed = [] }
            return state.owed
        }
        do {
            try await NIOThreadPool.singleton.runIfActive {
                if owed.isEmpty { try file.check() } else { try file.append(Array(owed.joined())) }
            }
            state.withLock { $0.failure = $0.owed.isEmpty ? nil : $0.failure }
        } catch {
            state.withLock {
                $0.owed = owed + $0.owed
                $0.failure = "\(error)"
            }
            throw error
        }
    }

    /// Records a change. A line that can't be written is owed.
    ///
    /// - Returns: `false` when it is owed.
    func append(_ entry: AuditEntry) async -> Bool {
        let line = entry.line
        state.withLock { state in
            state.entries.append(entry.document)
            if state.entries.count > Self.remembered {
                state.entries.removeFirst(state.entries.count - Self.remembered)
            }
        }
        guard let file else { return true }
        do {
            try await NIOThreadPool.singleton.runIfActive { try file.append(line) }
            return true
        } catch {
            state.withLock {
                $0.owed.append(line)
                $0.failure = "\(error)"
            }
            return false
        }
    }

    /// The newest changes, newest first.
    func newest(_ limit: Int) -> [DocumentValue] {
        state.withLock { Array($0.entries.suffix(max(0, limit)).reversed()) }
    }
}
