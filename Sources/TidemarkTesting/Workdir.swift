internal import Glibc

/// A temporary directory of a test: files are written into it, and it goes with the scope.
package struct Workdir: Sendable {
    package let path: String

    /// What went wrong with it.
    package struct Failure: Error {
        package let text: String
    }

    /// Makes a directory for the duration of `body`.
    package static func with<Result>(_ body: (Workdir) async throws -> Result) async throws -> Result {
        let directory = try Workdir()
        do {
            let result = try await body(directory)
            directory.remove()
            return result
        } catch {
            directory.remove()
            throw error
        }
    }

    /// Makes a directory; call `remove` at the end.
    package init() throws {
        var template = Array("/tmp/tidemark-test-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Failure(text: "no directory: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The path of a file in it.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file; a folder in its name is made.
    package func write(_ text: String, to name: String) throws {
        if let slash = name.lastIndex(of: "/") { unsafe mkdir(file(String(name[..<slash])), 0o700) }
        let descriptor = unsafe open(file(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(text: "cannot write \(name): errno \(errno)") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
            }
            guard count > 0 else { throw Failure(text: "cannot write \(name): errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Removes it with everything in it.
    package func remove() {
        guard let removal = try? DaemonProcess("/bin/rm", ["-rf", path]) else {
            return print("could not remove \(path)")
        }
        // It ends by itself; nobody needs to wait for it.
        _ = removal.id
    }
}
