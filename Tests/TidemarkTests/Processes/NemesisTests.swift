import Glibc
import Testing
import TidemarkTesting

/// Everything that can be killed is killed while a writer writes and readers read; afterwards nothing may be missing, stale,
/// resurrected or without its expiry, and no reader may ever have seen a row go back.
///
/// `TIDEMARK_NEMESIS_SECONDS=300` makes a run longer, `TIDEMARK_SEED=<number>` repeats one as far as processes allow.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(20))) struct NemesisTests {
    private static let duration: Duration = {
        let text = unsafe getenv("TIDEMARK_NEMESIS_SECONDS").map { unsafe String(cString: $0) }
        let seconds = text.flatMap { Int64($0) } ?? 25
        print("nemesis runs for \(seconds) s a source; TIDEMARK_NEMESIS_SECONDS=300 makes it longer")
        return .seconds(seconds)
    }()

    @Test(arguments: SourceKind.available, [SeededGenerator.seeds(1)[0]])
    func whatIsCommittedArrivesWhateverIsKilled(_ kind: SourceKind, _ seed: UInt64) async throws {
        try await Places.shared.with {
            let sync = "chunk_rows: 40\nbreaker: {failures: 20, open: 300ms}"
            try await Stage.with(kind, sync: sync, ownServer: true) { stage in
                try await Nemesis(stage, kind, seed: seed, duration: Self.duration).run()
            }
        }
    }
}
