import Extraction
import FeatureModel
import Foundation
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLiteHistoryTests {
    private let view = makeView(watermark: .tracked("t", "id"), features: [("v", "int64")])
    private let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER);"

    @Test func installingTwiceKeepsTheHistory() async throws {
        let file = try await SourceFile(schema)
        let connector = SQLiteConnector(path: file.path)
        let statements = try await connector.installStatements(for: view)
        #expect(statements.count > 5)
        #expect(
            try await file.rows("SELECT count(*) FROM sqlite_master WHERE name LIKE '_tidemark%'") == [[.integer(0)]])
        let reader = try await file.reader(view)
        let before = try await reader.history()
        for statement in statements { try await file.run(statement) }
        try await connector.install(for: view)
        #expect(try await reader.history() == before)
        #expect(before.end == 0)
    }

    @Test func trackingThatIsMissingOrWasDroppedIsNeverSkippedOver() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view, install: false)
        await expectFailure(.notInstalled) { try await reader.check() }
        await expectFailure(.notInstalled) { _ = try await reader.history() }
        try await SQLiteConnector(path: file.path).install(for: view)
        let start = try await reader.startCursor()
        let history = try await reader.history()
        try await file.run("DROP TRIGGER \"_tidemark update t(id)\"")
        await expectFailure(.notInstalled) { try await reader.check() }
        await expectFailure(.notInstalled) { _ = try await reader.readChanges(after: start, limit: 1) }
        try await file.run("INSERT INTO t VALUES (1, 1); UPDATE t SET v = 2")
        try await SQLiteConnector(path: file.path).install(for: view)
        let later = try await reader.history()
        #expect(later.identity != history.identity, "changes may have passed while nothing was tracked")
    }

    @Test func aRecreatedTableNeedsInstallingAgain() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view)
        let before = try await reader.history().identity
        try await file.run("CREATE TABLE n(id INTEGER PRIMARY KEY, v, w); DROP TABLE t; ALTER TABLE n RENAME TO t")
        await expectFailure(.notInstalled) { _ = try await reader.history() }
        try await SQLiteConnector(path: file.path).install(for: view)
        #expect(try await reader.history().identity != before)
    }

    @Test func aDroppedLogIsAnotherHistory() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view)
        let before = try await reader.history().identity
        try await file.run("DROP TABLE _tidemark_log")
        await expectFailure(.notInstalled) { _ = try await reader.history() }
        try await SQLiteConnector(path: file.path).install(for: view)
        #expect(try await reader.history().identity != before)
    }

    @Test func aFileReplacedByAnOlderCopyIsNoticed() async throws {
        let file = try await SourceFile(schema, mode: "DELETE")
        let reader = try await file.reader(view)
        try await file.run("INSERT INTO t VALUES (1, 1)")
        let copy = file.folder.file("backup.db")
        try FileManager.default.copyItem(atPath: file.path, toPath: copy)
        try await file.run("INSERT INTO t VALUES (2, 2), (3, 3)")
        let cursor = try await reader.readChanges(after: ChangeCursor(text: "seq:0"), limit: 10).next
        let before = try await reader.history()
        #expect(before.end == 3)

        try FileManager.default.moveItem(atPath: copy, toPath: file.folder.file("next.db"))
        try replaceFile(file.folder.file("next.db"), file.path)
        let after = try await reader.history()
        #expect(after.identity != before.identity)
        #expect(after.end == 1)
        await expectFailure(.historyBroken) { _ = try await reader.readChanges(after: cursor, limit: 10) }
    }

    @Test func anOlderCopyRestoredInPlaceIsNoticedEvenWhenItHasGrownAgain() async throws {
        let file = try await SourceFile(schema, mode: "DELETE")
        let reader = try await file.reader(view)
        try await file.run("INSERT INTO t VALUES (1, 1)")
        let copy = file.folder.file("backup.db")
        try FileManager.default.copyItem(atPath: file.path, toPath: copy)
        try await file.run("INSERT INTO t VALUES (2, 2), (3, 3)")
        let cursor = try await reader.readChanges(after: ChangeCursor(text: "seq:0"), limit: 10).next
        let before = try await reader.history()

        await file.writer.close()
        try copyFile(copy, to: file.path)
        let restored = try await LocalDatabase(.init(path: file.path))
        try await restored.run { connection in
            try connection.execute("INSERT INTO t VALUES (2, 22), (3, 33), (4, 44), (5, 55)")
        }
        let after = try await reader.history()
        #expect(after.identity == before.identity && after.end == 5, "nothing but the log itself tells them apart")
        await expectFailure(.historyBroken) { _ = try await reader.readChanges(after: cursor, limit: 10) }
    }

    @Test func aMissingFileIsUnavailableAndItsReturnIsRead() async throws {
        let file = try await SourceFile(schema, mode: "DELETE")
        let reader = try await file.reader(view)
        let away = file.folder.file("away.db")
        try replaceFile(file.path, away)
        await expectFailure(.unavailable) { _ = try await reader.history() }
        try replaceFile(away, file.path)
        _ = try await reader.history()
        let nowhere = SQLiteConnector(path: file.folder.file("nowhere.db"))
        await expectFailure(.unavailable) { _ = try await nowhere.open(view) }
        #expect(await nowhere.diagnose([view]).first?.grade == .bad)
    }

    @Test func aFileThatIsNoDatabaseIsCorrupt() async throws {
        let folder = try ScratchFolder()
        try Data(repeating: 0x41, count: 8_192).write(to: URL(fileURLWithPath: folder.file("x.db")))
        let reader = try await SQLiteConnector(path: folder.file("x.db")).open(view)
        await expectFailure(.corrupt) { try await reader.check() }
    }

    @Test func aLockedFileIsUnavailableAfterTheBusyTimeout() async throws {
        let file = try await SourceFile(schema, mode: "DELETE")
        let reader = try await file.reader(view, options: .init(busyTimeout: .milliseconds(30)))
        try await file.run("BEGIN EXCLUSIVE")
        await expectFailure(.unavailable) { _ = try await reader.history() }
        try await file.run("COMMIT")
        _ = try await reader.history()
    }

    @Test func walFilesAreReadWhileAWriterIsInsideItsTransaction() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view)
        let start = try await reader.startCursor()
        try await file.run("BEGIN IMMEDIATE; INSERT INTO t VALUES (1, 1)")
        let during = try await reader.readChanges(after: start, limit: 10)
        #expect(during.rows.isEmpty && during.rows.position == 0)
        try await file.run("ROLLBACK; INSERT INTO t VALUES (2, 2)")
        let after = try await reader.readChanges(after: during.next, limit: 10)
        #expect(after.rows.keys == [key(2)], "the number of the change rolled back is used again")
    }

    @Test func walFilesOfWritersThatAreGoneAreRead() async throws {
        let file = try await SourceFile(schema + "INSERT INTO t VALUES (1, 1);")
        await file.writer.close()
        let reader = try await file.reader(
            makeView(
                watermark: .column(WatermarkColumn(column: "v", tieBreaker: ["id"])), features: [("v", "int64")]),
            install: false)
        let page = try await reader.readChanges(after: try await reader.startCursor(), limit: 10)
        #expect(page.rows.keys == [key(1)])
    }

    @Test func aCallThatTakesTooLongEndsAtItsDeadline() async throws {
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1)")
        let endless = makeView(
            query: """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                SELECT max(i) AS id, 1 AS v FROM n
                """,
            watermark: .tracked("t", "id"), features: [("v", "int64")])
        let reader = try await file.reader(endless, options: .init(statementTimeout: .milliseconds(50)))
        let code = await failure { _ = try await reader.readRange(after: nil, limit: 1) }
        #expect(code == .deadlineExceeded)
        _ = try await reader.history()
    }

    @Test func closingEndsARunningCall() async throws {
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1)")
        let endless = makeView(
            query: """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                SELECT max(i) AS id, 1 AS v FROM n
                """,
            watermark: .tracked("t", "id"), features: [("v", "int64")])
        let reader = try await file.reader(endless, options: .init(statementTimeout: .seconds(600)))
        async let code = failure { _ = try await reader.readRange(after: nil, limit: 1) }
        await Task.yield()
        await reader.close()
        #expect(await code == .unavailable)
        await expectFailure(.unavailable) { _ = try await reader.history() }
    }
}
