import FeatureModel
import Foundation
import Glibc
import Testing
import TidemarkTesting

@testable import Recall

/// The versions on the disk: whole or not there, whatever kills a build and whoever damages a file.
@Suite(.timeLimit(.minutes(5)))
struct RecallFolderTests {
    /// A list whose content tells which one it is.
    static func artifact(_ number: Int64) -> RecallArtifact {
        var artifact = RecallArtifact(kind: .popularity, ids: .integers([number]))
        artifact.starts = [0, 1]
        artifact.items = [0]
        artifact.scores = [1]
        return artifact
    }

    static func publish(
        _ number: Int64, _ directory: String, keep: Int = 3, at step: (RecallFolder.Step) -> Void = { _ in }
    ) throws {
        let folder = RecallFolder(directory: directory, list: "list")
        let lock = try folder.lock()
        _ = try folder.publish(
            artifact(number), lock: lock, keep: keep, limit: 1 << 20,
            manifest: { version, bytes, sha256 in
                RecallManifest(
                    list: "list", kind: .popularity, version: version, builtAt: 0, newestEvent: number, until: nil,
                    seconds: 0, counts: RecallCounts(), bytes: bytes, sha256: sha256)
            }, at: step)
    }

    /// What is live: the number that its content tells.
    static func live(_ directory: String) throws -> Int64? {
        let folder = RecallFolder(directory: directory, list: "list")
        guard let version = try folder.current() else { return nil }
        guard case .integers(let ids) = try folder.load(version, limit: 1 << 20).1.ids else { return nil }
        return ids.first
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(folder) }
        try await body(folder)
    }

    @Test func versionsCountUpAndTheOldestGo() async throws {
        try await withFolder { directory in
            let folder = RecallFolder(directory: directory, list: "list")
            #expect(try folder.current() == nil)
            for number in 1...5 { try Self.publish(Int64(number), directory, keep: 2) }
            #expect(try folder.versions() == [4, 5])
            #expect(try folder.current() == 5)
            #expect(try Self.live(directory) == 5)
        }
    }

    @Test(arguments: RecallFolder.Step.allCases)
    func aBuildKilledAnywhereLeavesTheOldOrTheNewVersion(_ step: RecallFolder.Step) async throws {
        try await withFolder { directory in
            try Self.publish(1, directory)
            let wanted = step.rawValue
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [directory = directory as String, wanted = wanted as String] in
                try RecallFolderTests.publish(2, directory) { step in
                    if step.rawValue == wanted { kill(getpid(), SIGKILL) }
                }
            }
            let isNew = step == .switched || step == .pruned
            #expect(try Self.live(directory) == (isNew ? 2 : 1))
            // The next build takes over: the lock is free, and what was left half-way is gone.
            try Self.publish(3, directory, keep: 10)
            #expect(try Self.live(directory) == 3)
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/list")
            #expect(!names.contains { $0.hasPrefix(".building") || $0 == ".current" })
            let folder = RecallFolder(directory: directory, list: "list")
            for version in try folder.versions() { _ = try folder.load(version, limit: 1 << 20) }
        }
    }

    @Test func twoBuildsOfOneListDoNotRunAtOnce() async throws {
        try await withFolder { directory in
            let folder = RecallFolder(directory: directory, list: "list")
            let lock = try folder.lock()
            #expect { _ = try folder.lock() } throws: { ($0 as? RecallError)?.code == .busy }
            _ = consume lock
            _ = try folder.lock()
        }
    }

    @Test func rollingBackGoesToTheVersionBefore() async throws {
        try await withFolder { directory in
            for number in 1...3 { try Self.publish(Int64(number), directory) }
            let folder = RecallFolder(directory: directory, list: "list")
            #expect(try folder.rollBack(to: nil, limit: 1 << 20) == (3, 2))
            #expect(try folder.rollBack(to: nil, limit: 1 << 20) == (2, 1))
            #expect { _ = try folder.rollBack(to: nil, limit: 1 << 20) } throws: {
                ($0 as? RecallError)?.code == .missing
            }
            #expect(try folder.rollBack(to: 3, limit: 1 << 20) == (1, 3))
            #expect { _ = try folder.rollBack(to: 9, limit: 1 << 20) } throws: {
                ($0 as? RecallError)?.code == .missing
            }
            // A build comes behind all that ever were, and the live one is kept however old it is.
            _ = try folder.rollBack(to: 1, limit: 1 << 20)
            try Self.publish(4, directory, keep: 1)
            #expect(try folder.versions() == [4])
        }
    }

    @Test func noVersionIsRolledBackToThatIsDamaged() async throws {
        try await withFolder { directory in
            for number in 1...2 { try Self.publish(Int64(number), directory) }
            try Self.change("\(directory)/list/1/data.bin") { $0[80] ^= 1 }
            let folder = RecallFolder(directory: directory, list: "list")
            #expect { _ = try folder.rollBack(to: nil, limit: 1 << 20) } throws: {
                ($0 as? RecallError)?.code == .damaged
            }
            #expect(try Self.live(directory) == 2)
        }
    }

    static func change(_ path: String, _ body: (inout [UInt8]) -> Void) throws {
        var bytes = Array(try #require(FileManager.default.contents(atPath: path)))
        body(&bytes)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test func everyFlippedByteOfTheDataIsFound() async throws {
        try await withFolder { directory in
            try Self.publish(1, directory)
            let path = "\(directory)/list/1/data.bin"
            let length = try #require(FileManager.default.contents(atPath: path)).count
            let folder = RecallFolder(directory: directory, list: "list")
            for place in 0..<length {
                try Self.change(path) { $0[place] ^= 0x40 }
                #expect(throws: RecallError.self) { _ = try folder.load(1, limit: 1 << 20) }
                try Self.change(path) { $0[place] ^= 0x40 }
            }
            _ = try folder.load(1, limit: 1 << 20)
        }
    }

    @Test func everyFlippedByteOfTheManifestIsFoundOrHarmless() async throws {
        try await withFolder { directory in
            try Self.publish(1, directory)
            let path = "\(directory)/list/1/manifest.json"
            let length = try #require(FileManager.default.contents(atPath: path)).count
            let folder = RecallFolder(directory: directory, list: "list")
            for place in 0..<length {
                try Self.change(path) { $0[place] ^= 0x01 }
                if let loaded = try? folder.load(1, limit: 1 << 20) { #expect(loaded.1 == Self.artifact(1)) }
                try Self.change(path) { $0[place] ^= 0x01 }
            }
        }
    }

    @Test func whatIsNoFileIsRefused() async throws {
        try await withFolder { directory in
            try Self.publish(1, directory)
            let folder = RecallFolder(directory: directory, list: "list")
            let data = "\(directory)/list/1/data.bin"
            func refused() -> RecallError.Code? {
                do throws(RecallError) {
                    _ = try folder.load(1, limit: 1 << 20)
                    return nil
                } catch {
                    return error.code
                }
            }
            // A link to the very same bytes, a folder, a sparse file of 10 GB, nothing.
            try FileManager.default.moveItem(atPath: data, toPath: "\(directory)/elsewhere")
            try FileManager.default.createSymbolicLink(atPath: data, withDestinationPath: "\(directory)/elsewhere")
            #expect(refused() == .damaged)
            try FileManager.default.removeItem(atPath: data)
            #expect(refused() == .damaged)
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
            #expect(refused() == .damaged)
            try FileManager.default.removeItem(atPath: data)
            try Data().write(to: URL(fileURLWithPath: data))
            #expect(unsafe truncate(data, 10 << 30) == 0)
            #expect(refused() == .damaged)
            try Self.change("\(directory)/list/1/manifest.json") { bytes in
                let text = String(decoding: bytes, as: UTF8.self)
                bytes = Array(text.replacing(/"bytes" : \d+/, with: "\"bytes\" : \(10 << 30)").utf8)
            }
            #expect(refused() == .tooLarge)
        }
    }

    @Test(arguments: ["", "1", "01\n", "+1\n", "../1\n", "1\n2\n", "999999999999999999999\n", "\u{0}\n"])
    func aBrokenCurrentIsRefused(_ text: String) async throws {
        try await withFolder { directory in
            try Self.publish(1, directory)
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/list/current"))
            let folder = RecallFolder(directory: directory, list: "list")
            #expect { _ = try folder.current() } throws: { ($0 as? RecallError)?.code == .damaged }
        }
    }
}
