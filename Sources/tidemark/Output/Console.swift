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

    static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
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
            self.error("\(failure)")
            if case .refused = failure { throw Ending.usage }
            throw Ending.failed
        } catch let wrong as LookupError {
            error(wrong.description)
            throw Ending.usage
        } catch let wrong as UsageError {
            error(wrong.description)
            throw Ending.usage
        } catch {
            self.error("\(error)")
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
