import Foundation
import Glibc
import OnlineStore
import Sync
import Synchronization

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
        _ = write(text, to: STDERR_FILENO)
    }

    /// Writes all of a text.
    ///
    /// - Returns: `errno`, 0 for success.
    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return errno }
            rest = rest.dropFirst(count)
        }
        return 0
    }

    /// The first failure of standard output, as `errno`; 0 for none.
    private static let outputFailure = Atomic<Int32>(0)

    /// Prints a result. What can't be written is known to `checkOutput`.
    static func result(_ text: String) {
        guard outputFailure.load(ordering: .relaxed) == 0 else { return }
        outputFailure.store(write(text, to: STDOUT_FILENO), ordering: .relaxed)
    }

    /// Makes lost results an error: a full disk, a closed standard output. A reader that left early (`| head`) had what it
    /// wanted.
    static func checkOutput() throws {
        // It is said once.
        let failure = outputFailure.exchange(0, ordering: .relaxed)
        guard failure != 0, failure != EPIPE else { return }
        error("standard output can't be written: \(unsafe String(cString: strerror(failure)))")
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

/// Prints a result, in the place of the standard library's, which drops what can't be written.
func print(_ text: String, terminator: String = "\n") {
    Console.result(text + terminator)
}
