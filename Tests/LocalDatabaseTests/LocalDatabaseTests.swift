import Foundation
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LocalDatabaseTests {
    private func code(_ body: () async throws -> Void) async -> SQLiteError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? SQLiteError)?.code
        }
    }

    private func withFile(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "/tidemark-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder + "/x.db")
    }

    private static let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    @Test func valuesOfEveryKindComeBackExactly() async throws {
        let database = try await LocalDatabase(.init(path: ":memory:", setup: "CREATE TABLE t(v)"))
        let values: [SQLiteValue] = [
            .null, .integer(.min), .integer(.max), .real(0.1), .real(-0.0), .text(""), .text("ü\0😀'\""), .blob([]),
            .blob([0, 255, 7]),
        ]
        let back = try await database.run { connection in
            for value in values { try connection.statement("INSERT INTO t VALUES (?)").run([value]) }
            return try connection.rows("SELECT v FROM t ORDER BY rowid").map { $0[0] }
        }
        #expect(back == values)
    }

    @Test func bytesAreLentAndBoundWithoutCopies() async throws {
        let database = try await LocalDatabase(.init(path: ":memory:", setup: "CREATE TABLE t(a, b)"))
        let (sums, kinds) = try await database.run { connection in
            let insert = try connection.statement("INSERT INTO t VALUES (?, ?)")
            for bytes in [[1, 2, 3], []] as [[UInt8]] {
                try insert.bind(bytes: bytes.span, at: 1)
                try insert.bind(textBytes: bytes.span, at: 2)
                while try insert.step() {}
            }
            let select = try connection.statement("SELECT a, b FROM t ORDER BY rowid")
            var sums: [Int] = []
            while try select.step() {
                for column in 0..<2 {
                    sums.append(
                        select.withBytes(column) { bytes in
                            var sum = 100 * bytes.count
                            for index in 0..<bytes.count { sum += Int(bytes[index]) }
                            return sum
                        })
                }
            }
            return (sums, try connection.rows("SELECT typeof(a), typeof(b) FROM t LIMIT 1"))
        }
        #expect(sums == [306, 306, 0, 0])
        #expect(kinds == [[.text("blob"), .text("text")]])
    }

    @Test func textThatIsNotUTF8IsToldFromTextThatIs() async throws {
        let database = try await LocalDatabase(.init(path: ":memory:"))
        let texts = try await database.run { connection in
            let select = try connection.statement("SELECT CAST(x'6180' AS TEXT), 'ü'")
            _ = try select.step()
            defer { select.reset() }
            return [select.validText(0), select.text(0), select.validText(1)]
        }
        #expect(texts == [nil, "a\u{fffd}", "ü"])
    }

    @Test func transactionsCommitOrLeaveNothing() async throws {
        struct Stop: Error {}
        let database = try await LocalDatabase(.init(path: ":memory:", setup: "CREATE TABLE t(v UNIQUE)"))
        try await database.run { connection in
            try connection.transaction { connection in try connection.execute("INSERT INTO t VALUES (1)") }
            #expect(throws: Stop.self) {
                try connection.transaction { connection in
                    try connection.execute("INSERT INTO t VALUES (2)")
                    throw Stop()
                }
            }
            #expect(throws: SQLiteError.self) {
                try connection.transaction { connection in
                    try connection.execute("INSERT INTO t VALUES (3)")
                    try connection.execute("INSERT INTO t VALUES (1)")
                }
            }
            #expect(try connection.rows("SELECT v FROM t") == [[.integer(1)]])
        }
    }

    @Test func errorsHaveTheirCodes() async throws {
        try await withFile { path async throws in
            for access in [LocalDatabase.Configuration.Access.readOnly, .readWrite] {
                let missing = await code { _ = try await LocalDatabase(.init(path: path, access: access)) }
                #expect(missing == .cannotOpen)
            }
            let writer = try await LocalDatabase(.init(path: path, setup: "CREATE TABLE t(v UNIQUE)"))
            let reader = try await LocalDatabase(.init(path: path, access: .readOnly))
            func run(_ database: LocalDatabase, _ sql: String) async -> SQLiteError.Code? {
                await code { try await database.run { connection in try connection.execute(sql) } }
            }
            #expect(await run(reader, "INSERT INTO t VALUES (1)") == .readOnly)
            #expect(await run(writer, "SELECT nope FROM t") == .statement)
            #expect(await run(writer, "SELEC") == .statement)
            #expect(await run(writer, "INSERT INTO t VALUES (1), (1)") == .constraint)
            #expect(await run(writer, "PRAGMA max_page_count = 1; INSERT INTO t VALUES (zeroblob(100000))") == .full)
            await writer.close()
            await reader.close()
            #expect(await run(writer, "SELECT 1") == .cannotOpen)
            try Data(repeating: 1, count: 4_096).write(to: URL(fileURLWithPath: path))
            let damaged = try await LocalDatabase(.init(path: path))
            #expect(await run(damaged, "SELECT * FROM sqlite_master") == .corrupt)
        }
    }

    @Test func longStatementsEndAtTheirDeadlineAndTheConnectionGoesOn() async throws {
        let database = try await LocalDatabase(.init(path: ":memory:"))
        let late = await code {
            _ = try await database.run(deadline: .now + .milliseconds(20)) { connection in
                try connection.rows(Self.endless)
            }
        }
        #expect(late == .interrupted)
        #expect(try await database.run { connection in try connection.rows("SELECT 1") } == [[.integer(1)]])
    }

    @Test func lockedFilesAreWaitedForNoLongerThanTheBusyTimeoutOrTheDeadline() async throws {
        try await withFile { path async throws in
            let holder = try await LocalDatabase(.init(path: path, setup: "CREATE TABLE t(v); BEGIN EXCLUSIVE"))
            let impatient = try await LocalDatabase(.init(path: path, busyTimeoutMilliseconds: 10))
            let patient = try await LocalDatabase(.init(path: path, busyTimeoutMilliseconds: 600_000))
            let insert = "INSERT INTO t VALUES (1)"
            let refused = await code { try await impatient.run { connection in try connection.execute(insert) } }
            #expect(refused == .busy)
            let late = await code {
                try await patient.run(deadline: .now + .milliseconds(20)) { connection in try connection.execute(insert)
                }
            }
            #expect(late == .busy || late == .interrupted)
            try await holder.run { connection in try connection.execute("COMMIT") }
            try await patient.run { connection in try connection.execute(insert) }
        }
    }

    @Test func aWaitEndsWhenTheLockIsGivenBack() async throws {
        try await withFile { path async throws in
            let holder = try await LocalDatabase(.init(path: path, setup: "CREATE TABLE t(v); BEGIN EXCLUSIVE"))
            let patient = try await LocalDatabase(.init(path: path, busyTimeoutMilliseconds: 60_000))
            async let insertion: Void = patient.run { connection in try connection.execute("INSERT INTO t VALUES (1)") }
            try await holder.run { connection in try connection.execute("COMMIT") }
            try await insertion
            #expect(try await holder.run { connection in try connection.rows("SELECT v FROM t") } == [[.integer(1)]])
        }
    }

    @Test func interruptingEndsWhatRunsAndWhatWaits() async throws {
        try await withFile { path async throws in
            let running = try await LocalDatabase(.init(path: path, setup: "CREATE TABLE t(v)"))
            async let first = code {
                _ = try await running.run { connection in try connection.rows(Self.endless) }
            }
            await Task.yield()
            running.interrupt()
            #expect(await first == .interrupted)
            let second = await code { _ = try await running.run { connection in try connection.rows(Self.endless) } }
            #expect(second == .interrupted)
            await running.close()
        }
    }

    @Test func moreStatementsThanTheCacheHoldsStillRun() async throws {
        let database = try await LocalDatabase(.init(path: ":memory:"))
        let sum = try await database.run { connection in
            var sum: Int64 = 0
            for round in 0..<3 {
                for number in 0..<200 {
                    guard case .integer(let value)? = try connection.rows("SELECT \(number)").first?.first else {
                        continue
                    }
                    sum += value + Int64(round)
                }
            }
            return sum
        }
        #expect(sum == 3 * (199 * 200 / 2) + 200 * 3)
    }
}
