import FeatureModel
import Foundation
import Testing

@testable import Extraction

@Suite(.timeLimit(.minutes(2)))
struct CSVConnectorTests {
    private let start = ChangeCursor(text: "start")

    private func write(_ text: String, _ folder: ScratchFolder, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
    }

    private func view(
        _ query: String = "SELECT * FROM items", key: EntityKeyType = .int64, features: [(String, String)]
    ) -> FeatureView {
        makeView(
            keys: [("id", key)], query: query,
            watermark: .column(WatermarkColumn(column: "w", tieBreaker: ["id"], lookbackCount: 100)), features: features
        )
    }

    private func mirror(_ folder: ScratchFolder, _ view: FeatureView) async throws -> Mirror {
        let connector = CSVConnector(folder: folder.path)
        let reader = try await connector.open(view)
        try await reader.check()
        var mirror = Mirror(view)
        try await mirror.follow(reader, from: try await reader.startCursor(), limit: 2)
        await connector.close()
        return mirror
    }

    @Test func columnsGetTheTypesOfAllTheirValues() async throws {
        let folder = try ScratchFolder()
        try write(
            """
            \u{feff}id,w,i,r,t,zip,big,mixed,empty,q\r
            1,1,-5,1.5,"a,""b""\r
            c",007,9223372036854775807,1,,"1"\r
            2,2,0,2,,12,9223372036854775808,x,,""\r
            3,3,,-1e3,"",+1,1,0.5,,"3"\r

            """, folder, "items.csv")
        let names = ["i", "r", "t", "zip", "big", "mixed", "empty", "q"]
        let types = ["int64", "float64", "string", "string", "string", "string", "string", "int64"]
        let mirror = try await mirror(folder, view(features: Array(zip(names, types))))
        #expect(mirror.faults.isEmpty)
        #expect(
            mirror.rows[key(1)] == [
                .int64(-5), .float64(1.5), .string("a,\"b\"\r\nc"), .string("007"), .string("9223372036854775807"),
                .string("1"), .null, .int64(1),
            ])
        #expect(
            mirror.rows[key(2)] == [
                .int64(0), .float64(2), .null, .string("12"), .string("9223372036854775808"), .string("x"), .null,
                .null,
            ])
        #expect(
            mirror.rows[key(3)] == [
                .null, .float64(-1_000), .string(""), .string("+1"), .string("1"), .string("0.5"), .null, .int64(3),
            ])
    }

    @Test func integersThatRealsCannotHoldStayText() async throws {
        let folder = try ScratchFolder()
        try write("id,w,v\n1,1,9007199254740993\n2,2,0.5\n", folder, "items.csv")
        let mirror = try await mirror(folder, view(features: [("v", "string")]))
        #expect(mirror.rows[key(1)] == [.string("9007199254740993")])
    }

    @Test func filesAreTablesThatQueriesMayJoinWhateverTheirNames() async throws {
        let folder = try ScratchFolder()
        try write("id,w,\"the name\"\nä,1,x\n", folder, "odd name's \"file\".csv")
        try write("id,price\nä,2.5\n", folder, "Prices.CSV")
        try write("this is, not\nread", folder, "notes.txt")
        let mirror = try await mirror(
            folder,
            view(
                #"""
                SELECT o.id, o.w, o."the name" AS name, p.price FROM "odd name's ""file""" o JOIN prices p ON p.id = o.id
                """#, key: .string, features: [("name", "string"), ("price", "float64")]))
        #expect(mirror.rows == [key("ä"): [.string("x"), .float64(2.5)]])
    }

    @Test func changedFilesAreReadAnewAndGoneOnesAreMissing() async throws {
        let folder = try ScratchFolder()
        try write("id,w,v\n1,1,10\n2,2,20\n", folder, "items.csv")
        let connector = CSVConnector(folder: folder.path)
        let view = view(features: [("v", "int64")])
        let reader = try await connector.open(view)
        var mirror = Mirror(view)
        var cursor = try await mirror.follow(reader, from: start)
        let history = try await reader.history()
        #expect(mirror.rows.count == 2 && history.end == nil)

        try write("id,w,v\n1,1,10\n2,3,21\n3,4,30\n", folder, "items.csv")
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(mirror.rows == [key(1): [.int64(10)], key(2): [.int64(21)], key(3): [.int64(30)]])
        #expect(try await reader.history() == history)

        try write("id,w,v\n3,4,30\n", folder, "items.csv")
        let swept = try await reader.readEntities([key(1), key(3)])
        #expect(swept.removed.map(\.key) == [key(1)] && swept.keys == [key(3)])

        try FileManager.default.removeItem(atPath: folder.file("items.csv"))
        await expectFailure(.schemaMismatch) { _ = try await reader.readChanges(after: cursor, limit: 1) }
        #expect(try await reader.history() != history)
        await connector.close()
    }

    @Test func aFileThatIsNotCSVIsNamedWithItsLineAndHarmsNoOther() async throws {
        let folder = try ScratchFolder()
        try write("id,w,v\n1,1,10\n2,2\n", folder, "items.csv")
        try write("id,w,v\n1,1,10\n", folder, "fine.csv")
        let connector = CSVConnector(folder: folder.path)
        let reader = try await connector.open(view(features: [("v", "int64")]))
        do {
            try await reader.check()
            Issue.record("a broken file passed")
        } catch {
            #expect(error.code == .corrupt && error.detail.contains("items.csv:3: expected 3 fields, found 2"))
        }
        let other = try await connector.open(view("SELECT * FROM fine", features: [("v", "int64")]))
        try await other.check()
        let findings = await connector.diagnose([])
        #expect(findings.contains { $0.grade == .bad && $0.text.contains("items.csv:3") })
        try write("id,w,v\n1,1,10\n2,2,20\n", folder, "items.csv")
        try await reader.check()
        await connector.close()
    }

    @Test(
        arguments: [
            "", "\n\n", "id,w,v,id\n", "id,,v\n", "id,w,v\n1,1,\"x", "id,w,v\n1,2,3,4\n", "id,w,v\n1,2,x\"y\n",
        ])
    func brokenFilesAreCorrupt(text: String) async throws {
        let folder = try ScratchFolder()
        try write(text, folder, "items.csv")
        let connector = CSVConnector(folder: folder.path)
        let reader = try await connector.open(view(features: [("v", "int64")]))
        await expectFailure(.corrupt) { try await reader.check() }
        await connector.close()
    }

    @Test func invalidUTF8IsAFaultOfItsRow() async throws {
        let folder = try ScratchFolder()
        try Data([UInt8]("id,w,v\n1,1,".utf8) + [0xff, 0xfe] + [UInt8]("\n2,2,x\n".utf8)).write(
            to: URL(fileURLWithPath: folder.file("items.csv")))
        let mirror = try await mirror(folder, view(features: [("v", "string")]))
        #expect(mirror.rows == [key(2): [.string("x")]] && mirror.faults.map(\.rule) == ["encoding"])
    }

    @Test func trackingIsRefusedAndFoldersMustExist() async throws {
        let folder = try ScratchFolder()
        let connector = CSVConnector(folder: folder.path)
        let tracked = makeView(watermark: .tracked("items", "id"), features: [("v", "int64")])
        await expectFailure(.misconfigured) { _ = try await connector.open(tracked) }
        await expectFailure(.misconfigured) { try await connector.install(for: tracked) }
        let nowhere = CSVConnector(folder: folder.file("nowhere"))
        await expectFailure(.unavailable) { _ = try await nowhere.open(view(features: [("v", "int64")])) }
        await nowhere.close()
        try write("id\n1\n", folder, "a.csv")
        try write("id\n1\n", folder, "A.csv")
        await expectFailure(.misconfigured) { _ = try await connector.open(view(features: [])) }
        await connector.close()
    }

    @Test func theTemporaryDatabaseGoesWithTheConnector() async throws {
        let folder = try ScratchFolder()
        try write("id,w,v\n1,1,1\n", folder, "items.csv")
        let library = try await CSVLibrary(folder: folder.path, loadTimeout: .seconds(60))
        try await library.refresh()
        #expect(FileManager.default.fileExists(atPath: library.databasePath))
        await library.close()
        let parent = URL(fileURLWithPath: library.databasePath).deletingLastPathComponent().path
        #expect(!FileManager.default.fileExists(atPath: parent))
        await expectFailure(.unavailable) { try await library.refresh() }
    }

    @Test func largeFilesLoadWhole() async throws {
        let folder = try ScratchFolder()
        var text = "id,w,v\n"
        for number in 0..<50_000 { text += "\(number),\(number / 10),\"value \(number)\"\n" }
        try write(text, folder, "items.csv")
        let connector = CSVConnector(folder: folder.path)
        let view = view(features: [("v", "string")])
        let reader = try await connector.open(view)
        var mirror = Mirror(view)
        try await mirror.follow(reader, from: start, limit: 5_000)
        #expect(mirror.rows.count == 50_000 && mirror.rows[key(49_999)] == [.string("value 49999")])
        var walked = Mirror(view)
        try await walked.walk(reader, limit: 5_000)
        #expect(walked.rows.count == 50_000)
        await connector.close()
    }
}
