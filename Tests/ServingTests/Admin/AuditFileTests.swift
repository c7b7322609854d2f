import Serving
import Testing
import TidemarkTesting

/// The audit file is only appended to, bounded, and whole lines.
struct AuditFileTests {
    private func line(_ number: Int) -> [UInt8] { Array("{\"n\":\(number)}\n".utf8) }

    private func text(_ file: AuditFile, _ limit: Int) throws -> String {
        String(decoding: try file.tail(limit), as: UTF8.self)
    }

    @Test func linesAreAppendedAndTheTailBeginsWithALine() async throws {
        try await Workdir.with { folder in
            let file = AuditFile(path: folder.file("audit"))
            #expect(try file.tail(100).isEmpty)
            for number in 1...9 { try file.append(line(number)) }
            #expect(try file.tail(1_000).count == 9 * 8)
            #expect(try text(file, 20) == "{\"n\":8}\n{\"n\":9}\n")
        }
    }

    @Test func aLineThatWasCutStaysAlone() async throws {
        try await Workdir.with { folder in
            try folder.write("{\"n\":1}\n{\"n\"", to: "audit")
            let file = AuditFile(path: folder.file("audit"))
            try file.append(line(2))
            #expect(try text(file, 100) == "{\"n\":1}\n{\"n\"\n{\"n\":2}\n")
        }
    }

    @Test func aFullFileMakesRoomForAnother() async throws {
        try await Workdir.with { folder in
            let file = AuditFile(path: folder.file("audit"), maximumBytes: 20)
            for number in 1...5 { try file.append(line(number)) }
            #expect(try text(file, 100) == "{\"n\":5}\n")
            let older = AuditFile(path: folder.file("audit.1"))
            #expect(try text(older, 100) == "{\"n\":3}\n{\"n\":4}\n")
        }
    }

    @Test func whatIsNoFileIsRefused() async throws {
        try await Workdir.with { folder in
            #expect(throws: AuditFile.Failure.self) { try AuditFile(path: folder.path).append(line(1)) }
            #expect(throws: AuditFile.Failure.self) { try AuditFile(path: "/dev/null").append(line(1)) }
            #expect(throws: AuditFile.Failure.self) { try AuditFile(path: "\(folder.path)/no/audit").check() }
        }
    }
}
