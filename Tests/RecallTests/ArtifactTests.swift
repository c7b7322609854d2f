import FeatureModel
import Testing
import TidemarkTesting

@testable import Recall

/// `data.bin`: what goes in comes out, and nothing that somebody puts there traps, hangs or makes much of itself.
@Suite(.timeLimit(.minutes(5)))
struct ArtifactTests {
    static func samples() -> [RecallArtifact] {
        var popular = RecallArtifact(kind: .popularity, ids: .integers([-5, 0, 7, .max]))
        popular.segments = ["", "shoes", "ÄÖ"]
        popular.starts = [0, 3, 3, 4, 5]
        popular.items = [2, 0, 1, 3, 0]
        popular.scores = [1, 0.5, 0.25, 1, 1]
        var similar = RecallArtifact(
            kind: .coOccurrence, ids: .texts(starts: [0, 1, 3, 6], bytes: Array("abcdä".utf8)))
        similar.starts = [0, 1, 3, 3]
        similar.items = [1, 0, 2]
        similar.scores = [0.5, 0.5, 0.1]
        var vectors = RecallArtifact(kind: .vectors, ids: .blobs(starts: [0, 0, 2], bytes: [0, 255]))
        vectors.starts = [0, 1, 2]
        vectors.items = [1, 0]
        vectors.scores = [0.25, 0.25]
        return [popular, similar, vectors, RecallArtifact(kind: .trending, ids: .integers([])).withRow()]
    }

    @Test func whatGoesInComesOut() throws {
        for sample in Self.samples() {
            let bytes = sample.encoded()
            #expect(try RecallArtifact(bytes) == sample)
        }
    }

    @Test func idsAreFoundByValue() {
        let texts = ItemIDs.texts(starts: [0, 1, 3, 6], bytes: Array("abcdä".utf8))
        #expect(texts.index(of: .text("bc")) == 1)
        #expect(texts.index(of: .text("b")) == nil)
        #expect(texts.index(of: .integer(1)) == nil)
        let numbers = ItemIDs.integers([-5, 0, 7])
        #expect((-6...8).compactMap { numbers.index(of: .integer($0)) } == [0, 1, 2])
    }

    @Test func aCutFileIsRefusedAtEveryLength() throws {
        for sample in Self.samples() {
            let bytes = sample.encoded()
            for length in 0..<bytes.count {
                #expect(throws: RecallError.self) { _ = try RecallArtifact(Array(bytes.prefix(length))) }
            }
            #expect(throws: RecallError.self) { _ = try RecallArtifact(bytes + [0]) }
        }
    }

    /// Without the digest, which would refuse all of these: whatever is let through must be safe to look up in.
    @Test func everyFlippedBitIsRefusedOrHarmless() throws {
        var kept = 0
        for sample in Self.samples() {
            let bytes = sample.encoded()
            for place in bytes.indices {
                for bit in 0..<8 {
                    var wrong = bytes
                    wrong[place] ^= 1 << UInt8(bit)
                    guard let artifact = try? RecallArtifact(wrong) else { continue }
                    kept += 1
                    use(artifact)
                }
            }
        }
        #expect(kept > 0, "scores and ids can change without a contradiction")
    }

    @Test(arguments: SeededGenerator.seeds(20))
    func randomDamageIsRefusedOrHarmless(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            var bytes = random.pick(Self.samples()).encoded()
            for _ in 0...random.below(6) {
                switch random.below(4) {
                // A field of the head, which holds all lengths.
                case 0: bytes[8 + random.below(64)] = UInt8(random.below(256))
                case 1: bytes[random.below(bytes.count)] = UInt8(random.below(256))
                case 2: bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count))
                default: if bytes.count > 80 { bytes.remove(at: random.below(bytes.count)) }
                }
            }
            if let artifact = try? RecallArtifact(bytes) { use(artifact) }
        }
    }

    private func use(_ artifact: RecallArtifact) {
        let list = RecallList(
            artifact,
            RecallManifest(
                list: "list", kind: artifact.kind, version: 1, builtAt: 0, newestEvent: 0, until: nil, seconds: 0,
                counts: RecallCounts(), bytes: 0, sha256: ""))
        let ids = (0..<artifact.ids.count).map { artifact.ids[$0] }
        #expect(list.neighbours(of: ids, limit: 10).allSatisfy { $0.score.isFinite })
        #expect(list.top(limit: 10).count <= 10)
        for segment in artifact.segments { #expect(list.top(segments: [segment], limit: 1).count <= 1) }
    }

    @Test func countsBeyondTheFileAreRefusedBeforeAnythingIsMade() {
        for field in 0..<6 {
            for value in [UInt64.max, 1 << 63, 1 << 40, 1 << 32, 1 << 31] {
                var bytes = Self.samples()[0].encoded()
                for byte in 0..<8 {
                    bytes[24 + field * 8 + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
                }
                #expect(throws: RecallError.self) { _ = try RecallArtifact(bytes) }
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(20))
    func theBestAreWhatSortingSays(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let scores = (0..<random.below(300)).map { _ in Float(random.below(20)) }
        let limit = random.below(40)
        var best = TopScores(limit: limit)
        for (item, score) in scores.enumerated() { best.offer(UInt32(item), score) }
        let sorted = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(limit)
        #expect(best.sorted().map(\.item) == sorted.map { UInt32($0) }, "seed \(seed)")
    }
}

extension RecallArtifact {
    /// With an empty row for the whole.
    fileprivate func withRow() -> RecallArtifact {
        var copy = self
        copy.starts = [0, 0]
        return copy
    }
}
