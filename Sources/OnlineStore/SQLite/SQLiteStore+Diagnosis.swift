import Glibc
import LocalDatabase

extension SQLiteStore {
    /// Integrity, schema, journal, disk.
    package func diagnose() async throws(StoreError) -> [StoreFinding] {
        var findings = try await inspect(timeout: options.timeout) { connection in
            [try Self.library(connection), try Self.journal(connection)]
        }
        findings.append(await integrity())
        findings.append(try await writability())
        if let disk = Self.disk(path) { findings.append(disk) }
        return findings
    }

    private static func library(_ connection: SQLiteConnection) throws -> StoreFinding {
        let version = try SQLiteStoreSchema.number("user_version", connection)
        return StoreFinding(
            check: "schema", grade: .good, text: "schema \(version), SQLite \(LocalDatabase.libraryVersion)")
    }

    private static func journal(_ connection: SQLiteConnection) throws -> StoreFinding {
        let isLogged = try connection.rows("PRAGMA journal_mode") == [[.text("wal")]]
        return StoreFinding(
            check: "journal", grade: isLogged ? .good : .warning,
            text: isLogged
                ? "WAL: readers and the writer do not wait for each other"
                : "the file is not in WAL mode (a network or memory file system?): reads wait for writes")
    }

    /// Looks the file over for two seconds at most.
    private func integrity() async -> StoreFinding {
        do {
            let rows = try await inspect(timeout: .seconds(2)) { connection in
                try connection.rows("PRAGMA quick_check(1)")
            }
            guard case .text(let answer)? = rows.first?.first, answer != "ok" else {
                return StoreFinding(check: "integrity", grade: .good, text: "the file is sound")
            }
            return StoreFinding(
                check: "integrity", grade: .bad,
                text: "the file is damaged (\(answer)): stop, move it away, and sync into a new one")
        } catch  where error.code == .deadlineExceeded {
            return StoreFinding(
                check: "integrity", grade: .good, text: "no damage found in two seconds; the rest was not looked at")
        } catch {
            return StoreFinding(check: "integrity", grade: .bad, text: error.description)
        }
    }

    private func writability() async throws(StoreError) -> StoreFinding {
        do {
            try await write { tables in try tables.connection.execute("UPDATE markers SET sequence = 0 WHERE 0") }
            return StoreFinding(check: "writable", grade: .good, text: "the file can be written")
        } catch  where error.code == .writesRefused {
            return StoreFinding(check: "writable", grade: .bad, text: "\(error): check owner, mode and disk")
        }
    }

    private static func disk(_ path: String) -> StoreFinding? {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return nil }
        let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
        let isTight = free < 1 << 30
        return StoreFinding(
            check: "disk", grade: isTight ? .warning : .good,
            text: "\(free >> 20) MiB free" + (isTight ? ": writes are refused when it is full" : ""))
    }

    /// The file, its log included.
    package func usedBytes() async throws(StoreError) -> Int64? {
        let pages = try await inspect(timeout: options.timeout) { connection in
            try SQLiteStoreSchema.number("page_count", connection)
                * (try SQLiteStoreSchema.number("page_size", connection))
        }
        var status = stat()
        guard unsafe stat(path + "-wal", &status) == 0 else { return pages }
        return pages + Int64(status.st_size)
    }
}
