import Glibc
import TidemarkTesting

/// A disk of 256 KiB, which a test can fill.
struct SmallDisk: Sendable {
    /// What went wrong with it.
    struct Failure: Error {
        let text: String
    }

    /// Whether this process may mount file systems.
    static let isPossible: Bool = {
        if geteuid() != 0 { print("only root can mount a small disk: full-disk tests are SKIPPED") }
        return geteuid() == 0
    }()

    private let path: String

    static func with(_ body: (SmallDisk) async throws -> Void) async throws {
        try await Workdir.with { workdir in
            let disk = SmallDisk(path: workdir.file("disk"))
            unsafe mkdir(disk.path, 0o700)
            try await succeed("/bin/mount", "-t", "tmpfs", "-o", "size=256k", "tidemark-test", disk.path)
            do {
                try await body(disk)
            } catch {
                try await succeed("/bin/umount", "-l", disk.path)
                throw error
            }
            try await succeed("/bin/umount", "-l", disk.path)
        }
    }

    private static func succeed(_ program: String, _ arguments: String...) async throws {
        let ending = try await DaemonProcess(program, arguments).ending(within: .seconds(20))
        guard ending.code == 0 else { throw Failure(text: "\(program) \(arguments): \(ending.story)") }
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Takes all room that is left.
    func fill() throws {
        let descriptor = unsafe open(file("filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(text: "no filler: errno \(errno)") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: 4_096)
        while unsafe write(descriptor, zeros, zeros.count) > 0 {}
        guard errno == ENOSPC else { throw Failure(text: "not full: errno \(errno)") }
    }

    /// Gives the room back.
    func empty() { _ = unsafe unlink(file("filler")) }
}
