import Glibc
import Testing
import TidemarkTesting

extension WrongCase {
    static let store: [WrongCase] = [
        WrongCase(
            name: "Redis is down", code: 1, words: ["online_store", "no connection", "redis.sock", "is it running"],
            spoil: { $0.redis.stop(.kill) }, mend: { try $0.redis.start() }),
        WrongCase(
            name: "the password is wrong", code: 1,
            words: ["online_store", "refuses user and password", "check online_store in the config"],
            environment: ["LAB_PASSWORD": "wrong-horse"]),
        WrongCase(
            name: "the user may not run scripts", code: 1, words: ["online_store", "lacks a permission", "doctor"],
            spoil: { try await $0.redis("ACL", "SETUSER", "app", "-evalsha", "-eval") },
            mend: { try await $0.redis("ACL", "SETUSER", "app", "+@all") }),
        WrongCase(
            name: "the user may not touch our keys", code: 1, words: ["online_store", "lacks a permission", "doctor"],
            spoil: { try await $0.redis("ACL", "SETUSER", "app", "resetkeys", "~other:*") },
            mend: { try await $0.redis("ACL", "SETUSER", "app", "~*") }),
        WrongCase(
            name: "Redis is a replica", code: 1, words: ["is a replica", "name the master in online_store.url"],
            spoil: { try await $0.redis("REPLICAOF", "127.0.0.1", "1") },
            mend: { try await $0.redis("REPLICAOF", "NO", "ONE") }),
        WrongCase(
            name: "Redis is out of memory", code: 1, words: ["online_store", "out of memory", "raise maxmemory"],
            spoil: { try await $0.redis("CONFIG", "SET", "maxmemory", "1") },
            mend: { try await $0.redis("CONFIG", "SET", "maxmemory", "0") }),
        WrongCase(
            name: "Redis can't save", code: 1, words: ["online_store", "cannot persist", "its log and disk"],
            spoil: { lab in
                let folder = "\(lab.redis.directory)/gone"
                unsafe mkdir(folder, 0o700)
                try await lab.redis("CONFIG", "SET", "dir", folder)
                unsafe rmdir(folder)
                try await lab.redis("CONFIG", "SET", "save", "3600 1")
                try await lab.redis("BGSAVE")
                // Its child has to fail first, which no event tells.
                for _ in 0..<400 where try await !lab.redis("SET", "probe", "1").contains("MISCONF") { continue }
            },
            mend: { lab in
                try await lab.redis("CONFIG", "SET", "dir", lab.redis.directory)
                try await lab.redis("CONFIG", "SET", "save", "")
                try await lab.redis("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            }),
        WrongCase(
            name: "a list lies where a row was", arguments: ["verify"], code: 3, words: ["1: different in the store"],
            spoil: { lab in
                try await lab.expect(["sync", "--once"], code: 0)
                try await lab.redis("DEL", lab.rowKey(1))
                try await lab.redis("RPUSH", lab.rowKey(1), "planted")
            }, mend: { try await $0.expect(["verify", "--repair"], code: 3) }),
        WrongCase(
            name: "garbage lies where a row was", arguments: ["verify"], code: 3,
            words: ["1: different in the store"],
            spoil: { lab in
                try await lab.expect(["sync", "--once"], code: 0)
                try await lab.redis("SET", lab.rowKey(1), "planted")
            }, mend: { try await $0.expect(["verify", "--repair"], code: 3) }),
        WrongCase(
            name: "another service holds the lease", code: 1, words: ["view activity is being synced by", ":"],
            spoil: { lab in
                _ = try await Self.crash(lab)
            }, mend: { try await $0.redis("DEL", "lab:!lease:activity") }),
        WrongCase(
            name: "the view is paused", code: 0, words: ["view activity is paused", "tidemark resume activity"],
            spoil: { try await $0.expect(["pause", "activity"], code: 0) },
            mend: { try await $0.expect(["resume", "activity"], code: 0) }),
    ]

    /// Leaves a lease behind, as a service that was killed does.
    private static func crash(_ lab: Lab) async throws -> DaemonProcess.Ending {
        guard let program = DaemonProcess.tidemark else { throw Lab.Failure(text: "tidemark is not built") }
        let process = try DaemonProcess(
            program, ["sync", "--once", "--config", lab.workdir.file("tidemark.yaml")],
            environment: ["LAB_PASSWORD": Lab.secret, "TIDEMARK_CRASH_AT": "C0"])
        return await process.ending()
    }
}
