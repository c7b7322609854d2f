import Glibc
import TidemarkTesting

extension Lab {
    /// A second view, over tracked changes of the same table.
    static let trackedDefinitions = definitions.replacing(
        "services:",
        with: """
              tracked:
                entity: user
                source:
                  from: shop
                  query: SELECT id AS user_id, views FROM users
                  watermark: {track: users, key: [id]}
                every: 1m
                ttl: 1d
                sweep: 6h
                features: {views: int64}
            services:
            """)

    /// Whether this process may mount file systems.
    static let canMount: Bool = {
        let canMount = isPossible && geteuid() == 0
        if !canMount { print("only root can mount a small disk: full-disk tests are SKIPPED") }
        return canMount
    }()

    /// Runs a program of the system and requires that it succeeds.
    private func succeed(_ program: String, _ arguments: String...) async throws {
        let ending = try await DaemonProcess(program, arguments).ending(within: .seconds(20))
        guard ending.code == 0 else { throw Failure(text: "\(program) \(arguments): \(ending.story)") }
    }

    /// Moves a file to a disk without room for as long as `body` runs.
    func onFullDisk(_ name: String, _ body: () async throws -> Void) async throws {
        let (disk, file) = (workdir.file("disk"), workdir.file(name))
        unsafe mkdir(disk, 0o700)
        try await succeed("/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tidemark-test", disk)
        do {
            try await succeed("/bin/mv", file, disk)
            try await succeed("/bin/ln", "-s", "\(disk)/\(name)", file)
            // It ends with an error of its own, when the disk is full.
            _ = try await DaemonProcess("/bin/dd", ["if=/dev/zero", "of=\(disk)/filler", "bs=4k"]).ending()
            try await body()
            try await succeed("/bin/rm", "\(disk)/filler", file)
            try await succeed("/bin/mv", "\(disk)/\(name)", file)
            try await succeed("/bin/umount", disk)
        } catch {
            try await succeed("/bin/umount", "-l", disk)
            throw error
        }
    }
}
