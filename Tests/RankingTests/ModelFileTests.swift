import FeatureModel
import Ranking
import Testing
import TidemarkTesting

/// What is read from disk, bent in every place.
@Suite(.timeLimit(.minutes(3))) struct ModelFileTests {
    @Test func manifestReadsBackAsWritten() throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        var manifest = try fixture.folder.read("1").manifest
        manifest.columns = [
            RankerColumn(.feature(FeatureReference(view: "a", feature: "b")), .category(["x", "y"])),
            RankerColumn(.feature(FeatureReference(view: "a", feature: "c")), .age(.milliseconds)),
            RankerColumn(.feature(FeatureReference(view: "a", feature: "d")), .boolean),
        ]
        manifest.training = ["until": "2026-01-01T00:00:00Z"]
        let read = try ModelManifest(json: manifest.json())
        #expect(read == manifest)
        #expect(read.probes.values.map(\.bitPattern) == manifest.probes.values.map(\.bitPattern))
    }

    @Test func manifestCutOrBentAnywhereIsReadOrRefused() throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let json = try fixture.folder.read("1").manifest.json()
        for length in 0..<json.count - 2 {
            #expect(throws: RankerError.self) { try ModelManifest(json: Array(json[..<length])) }
        }
        var random = SeededGenerator(seed: 11)
        for _ in 0..<3_000 {
            var bent = json
            bent[Int.random(in: bent.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            // Either is right; what counts is that nothing traps and that no row is torn.
            guard let manifest = try? ModelManifest(json: bent) else { continue }
            #expect(manifest.probes.values.count == manifest.probes.rows * manifest.columns.count)
        }
    }

    @Test(arguments: [
        #"{"recall":"a","feature":"b:c"}"#, #"{}"#, #"{"feature":"b"}"#, #"{"feature":":c"}"#, #"{"feature":"a:b:c"}"#,
        #"{"feature":"b:c","encoding":"age_h"}"#, #"{"feature":"b:c","encoding":"category"}"#,
        #"{"recall":"a","encoding":"boolean"}"#, #"{"feature":"b:c","encoding":"other"}"#,
    ])
    func columnThatMakesNoSenseIsRefused(_ column: String) {
        let json = """
            {"format":1,"name":"r","version":"1","kind":"xgboost","sha256":"","bytes":1,"columns":[\(column)],
             "probes":{"rows":[[1]],"scores":[1]}}
            """
        #expect { try ModelManifest(json: Array(json.utf8)) } throws: { ($0 as? RankerError)?.code == .corrupt }
    }

    @Test func columnsAreTakenUpToTheLimit() throws {
        func json(_ count: Int) -> [UInt8] {
            let columns = (0..<count).map { #"{"recall":"s\#($0)"}"# }.joined(separator: ",")
            let row = (0..<count).map { _ in "null" }.joined(separator: ",")
            return Array(
                """
                {"format":1,"name":"r","version":"1","kind":"xgboost","sha256":"","bytes":1,"columns":[\(columns)],
                 "probes":{"rows":[[\(row)]],"scores":[1]}}
                """.utf8)
        }
        #expect(try ModelManifest(json: json(ModelManifest.maximumColumns)).columns.count == 2_000)
        #expect { try ModelManifest(json: json(ModelManifest.maximumColumns + 1)) } throws: {
            ($0 as? RankerError)?.code == .tooLarge
        }
        #expect { try ModelManifest(json: json(0)) } throws: { ($0 as? RankerError)?.code == .tooLarge }
    }

    @Test func versionsAreNumberedOnAndPruned() throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        #expect(try fixture.folder.nextVersion() == "2")
        for version in ["2", "10", "9"] { try fixture.add(version) }
        #expect(try fixture.folder.nextVersion() == "11")
        #expect(try fixture.folder.versions() == ["1", "2", "9", "10"])
        try fixture.folder.prune(keep: 2, except: ["1"])
        #expect(try fixture.folder.versions() == ["1", "9", "10"])
    }

    @Test func versionThatIsThereIsNotOverwritten() throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        #expect(throws: RankerError.self) { try fixture.add("1", seed: 3) }
        #expect(try fixture.folder.versions() == ["1"])
        _ = try fixture.folder.read("1")
    }
}
