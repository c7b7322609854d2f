import Foundation
import Glibc
import OnlineStore
import Sync

/// What people see: results on standard output, everything else on standard error.
enum Console {
    /// Whether standard error is a terminal that can redraw a line.
    static var isTerminal: Bool {
        isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Prints an error, once, where it stops.
    static func error(_ text: String) {
        write("tidemark: \(text)\n")
    }

    /// Prints a remark that is no result.
    static func note(_ text: String) {
        write("\(text)\n")
    }

    /// Writes to standard error. If nobody listens there, nobody is told.
    static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Writes out what was printed. A reader that left early (`| head`) had what it wanted.
    ///
    /// - Throws: `Ending.failed` when results were lost: a full disk, a closed standard output.
    static func flush() throws {
        guard fflush(nil) != 0, errno != EPIPE else { return }
        error("standard output can't be written: \(unsafe String(cString: strerror(errno)))")
        throw Ending.failed
    }

    /// Prints a value as JSON with sorted keys.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Runs a command's work; an error becomes one line and exit code 1 (2 where the request itself was wrong).
    static func reporting(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let ending as Ending {
            throw ending
        } catch let error as CancellationError {
            throw error
        } catch let failure as SyncError {
            self.error(Advice.text(of: failure))
            if case .refused = failure { throw Ending.usage }
            throw Ending.failed
        } catch let wrong as LookupError {
            error(wrong.description)
            throw Ending.usage
        } catch let wrong as UsageError {
            error(wrong.description)
            throw Ending.usage
        } catch {
            self.error(Advice.text(of: SyncError(error)))
            throw Ending.failed
        }
    }
}

/// A request that can't be carried out as it was made.
struct UsageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
