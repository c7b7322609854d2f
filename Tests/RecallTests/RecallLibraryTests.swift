import FeatureModel
import Foundation
import Logging
import Synchronization
import Testing
import TidemarkTesting

@testable import Recall

/// What a daemon reads: always whole, the newest that is right, inside its memory.
@Suite(.timeLimit(.minutes(5)))
struct RecallLibraryTests {
    private func withLibrary(
        maximumBytes: Int = 1 << 30, kind: RecallKind = .popularity,
        _ body: (RecallLibrary, String) async throws -> Void
    ) async throws {
        let directory = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(directory) }
        let list = RecallListConfig(name: "list", kind: kind, from: "shop", query: "", item: "item")
        let library = RecallLibrary(
            RecallConfig(maximumBytes: maximumBytes, lists: [list]), directory: directory,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        try await body(library, directory)
    }

    private func number(_ list: RecallList?) -> Int64? {
        guard case .integer(let number)? = list?.top(limit: 1).first?.id else { return nil }
        return number
    }

    @Test func aListIsNotThereUntilItWasBuilt() async throws {
        try await withLibrary { library, directory in
            await library.load()
            #expect(library.list("list") == nil)
            #expect(library.list("another") == nil)
            try RecallFolderTests.publish(7, directory)
            await library.load()
            #expect(number(library.list("list")) == 7)
            #expect(library.status().map(\.refusal) == [nil])
        }
    }

    @Test func aDamagedVersionIsRefusedAndTheOldOneStays() async throws {
        try await withLibrary { library, directory in
            try RecallFolderTests.publish(1, directory)
            await library.load()
            try RecallFolderTests.publish(2, directory)
            try RecallFolderTests.change("\(directory)/list/2/data.bin") { $0[75] ^= 1 }
            await library.load()
            #expect(number(library.list("list")) == 1)
            #expect(library.status().first?.refusal?.contains("digest") == true)
            // The next one is right again.
            try RecallFolderTests.publish(3, directory)
            await library.load()
            #expect(number(library.list("list")) == 3)
            #expect(library.status().first?.refusal == nil)
        }
    }

    @Test func aRollbackIsFollowed() async throws {
        try await withLibrary { library, directory in
            for number in 1...2 { try RecallFolderTests.publish(Int64(number), directory) }
            await library.load()
            _ = try RecallFolder(directory: directory, list: "list").rollBack(to: nil, limit: 1 << 20)
            await library.load()
            #expect(number(library.list("list")) == 1)
        }
    }

    @Test func aListOfAnotherKindIsRefused() async throws {
        try await withLibrary(kind: .coOccurrence) { library, directory in
            try RecallFolderTests.publish(1, directory)
            await library.load()
            #expect(library.list("list") == nil)
            #expect(library.status().first?.refusal?.contains("expected co_occurrence, found popularity") == true)
        }
    }

    @Test func listsStayInsideTheirMemory() async throws {
        let size = RecallFolderTests.artifact(1).encoded().count
        // Room for one version and not for two: none can be swapped.
        try await withLibrary(maximumBytes: 2 * size - 1) { library, directory in
            try RecallFolderTests.publish(1, directory)
            await library.load()
            try RecallFolderTests.publish(2, directory)
            await library.load()
            #expect(number(library.list("list")) == 1)
            #expect(library.status().first?.refusal?.contains("too large") == true)
        }
        try await withLibrary(maximumBytes: 2 * size) { library, directory in
            for number in 1...3 {
                try RecallFolderTests.publish(Int64(number), directory)
                await library.load()
                #expect(self.number(library.list("list")) == Int64(number))
            }
        }
    }

    @Test func readersAlwaysSeeAWholeVersionWhileVersionsAreSwapped() async throws {
        try await withLibrary { library, directory in
            try RecallFolderTests.publish(1, directory)
            await library.load()
            let isOver = Flag()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var seen: Int64 = 0
                        var reads = 0
                        while !isOver.isRaised, !Task.isCancelled {
                            let list = try #require(library.list("list"))
                            // Content, version and manifest are of one build, and time does not go back.
                            let number = try #require(self.number(list))
                            #expect(UInt64(number) == list.version && number == list.newestEvent)
                            #expect(number >= seen)
                            seen = number
                            reads += 1
                            await Task.yield()
                        }
                        return reads
                    }
                }
                for number in 2...60 {
                    try RecallFolderTests.publish(Int64(number), directory)
                    await library.load()
                }
                isOver.raise()
                for try await reads in group { #expect(reads > 0) }
            }
            #expect(number(library.list("list")) == 60)
        }
    }

    private func config(_ lists: [(String, RecallKind)]) -> RecallConfig {
        RecallConfig(
            lists: lists.map { RecallListConfig(name: $0.0, kind: $0.1, from: "shop", query: "", item: "item") })
    }

    @Test func anotherConfigIsTakenAndWhatItKeepsStays() async throws {
        try await withLibrary { library, directory in
            try RecallFolderTests.publish(7, directory)
            library.apply(config([]), directory: directory)
            await library.load()
            #expect(library.list("list") == nil && library.status().isEmpty, "no config has it")
            library.apply(config([("list", .popularity), ("other", .newest)]), directory: directory)
            await library.load()
            #expect(number(library.list("list")) == 7)
            #expect(library.status().map(\.name) == ["list", "other"])
            library.apply(config([("list", .popularity)]), directory: directory)
            #expect(number(library.list("list")) == 7, "before any look")
            library.apply(config([("list", .coOccurrence)]), directory: directory)
            #expect(library.list("list") == nil, "it has no neighbours")
            await library.load()
            #expect(library.status().first?.refusal?.contains("build it anew") == true)
        }
    }

    @Test func anotherDirectoryIsReadAndTheListsOfTheOldOneStayUntilThen() async throws {
        try await withLibrary { library, directory in
            let other = try TemporaryFolder.make()
            defer { TemporaryFolder.remove(other) }
            try RecallFolderTests.publish(7, directory)
            await library.load()
            library.apply(config([("list", .popularity)]), directory: other)
            #expect(number(library.list("list")) == 7)
            await library.load()
            #expect(number(library.list("list")) == 7, "nothing was ever built there")
            // A version of the same number.
            try RecallFolderTests.publish(8, other)
            try RecallFolderTests.change("\(other)/list/1/data.bin") { $0[75] ^= 1 }
            await library.load()
            #expect(number(library.list("list")) == 7)
            #expect(library.status().first?.refusal?.contains("digest") == true)
            try RecallFolderTests.publish(9, other)
            await library.load()
            #expect(number(library.list("list")) == 9)
        }
    }

    @Test func aServiceFollowsNewVersionsUntilItIsCancelled() async throws {
        let directory = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(directory) }
        let list = RecallListConfig(name: "list", kind: .popularity, from: "shop", query: "", item: "item")
        let (changes, continuation) = AsyncStream.makeStream(of: UInt64.self, bufferingPolicy: .bufferingNewest(16))
        let library = RecallLibrary(
            RecallConfig(refresh: .milliseconds(10), lists: [list]), directory: directory,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        ) { status in
            if let version = status.list?.version { continuation.yield(version) }
        }
        let running = Task { try await library.run() }
        var seen = changes.makeAsyncIterator()
        for version in 1...3 {
            try RecallFolderTests.publish(Int64(version), directory)
            #expect(await seen.next() == UInt64(version))
        }
        running.cancel()
        _ = await running.result
    }
}

/// Raised once, seen by all tasks.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
}
