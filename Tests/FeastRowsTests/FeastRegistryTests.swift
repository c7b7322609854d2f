import FeastRows
import FeatureModel
import ServingProtos
import SwiftProtobuf
import Testing
import TidemarkTesting

/// What of a registry tells how rows are laid out.
struct FeastRegistryTests {
    private static let registry: Feast_Core_Registry = .with {
        $0.registrySchemaVersion = "1"
        $0.entities = [
            .with {
                $0.spec.name = "driver"
                $0.spec.joinKey = "driver_id"
                $0.spec.valueType = .int64
                $0.spec.project = "shop"
            },
            .with {
                $0.spec.name = "ratio"
                $0.spec.valueType = .double
                $0.spec.project = "shop"
            },
            .with {
                $0.spec.name = "driver"
                $0.spec.joinKey = "other"
                $0.spec.valueType = .string
                $0.spec.project = "elsewhere"
            },
        ]
        $0.featureViews = [
            view("stats", ["driver"], [("rate", .float), ("tags", .stringList)], ttl: 90, version: 2),
            view("global", ["__dummy"], [("flag", .bool)]), view("odd", ["driver"], [("map", .invalid)]),
            view(
                "half", ["driver"],
                [("map", .UNRECOGNIZED(20)), ("json", .UNRECOGNIZED(32)), ("ids", .UNRECOGNIZED(40))]),
            view("a:b", ["driver"], [("x", .int64)]),
            view("strange", ["ratio"], [("x", .int64)]), view("lost", ["nobody"], [("x", .int64)]),
        ]
        $0.featureServices = [
            .with {
                $0.spec.name = "ranker"
                $0.spec.project = "shop"
                $0.spec.features = [part("stats", ["rate"]), part("global", ["flag"])]
            },
            service("renamed", part("stats", ["rate"]) { $0.nameAlias = "other" }),
            service("rejoined", part("stats", ["rate"]) { $0.joinKeyMap = ["driver_id": "other_id"] }),
            service("mapped", part("half", ["map"])), service("lost", part("nothing", ["x"])),
            service("computed", part("odfv", ["x"])),
        ]
        $0.streamFeatureViews = [
            .with {
                $0.spec.name = "stream"
                $0.spec.project = "shop"
                $0.spec.entities = ["driver"]
                $0.spec.ttl.seconds = 5
                $0.spec.features = [.with { ($0.name, $0.valueType) = ("x", .int64) }]
            }
        ]
        $0.onDemandFeatureViews = [
            .with { ($0.spec.name, $0.spec.project) = ("odfv", "shop") },
            .with { ($0.spec.name, $0.spec.project) = ("theirs", "third") },
        ]
    }

    private static func part(
        _ view: String, _ features: [String], _ change: (inout Feast_Core_FeatureViewProjection) -> Void = { _ in }
    ) -> Feast_Core_FeatureViewProjection {
        .with {
            $0.featureViewName = view
            $0.featureColumns = features.map { name in .with { $0.name = name } }
            change(&$0)
        }
    }

    private static func service(_ name: String, _ part: Feast_Core_FeatureViewProjection) -> Feast_Core_FeatureService {
        .with {
            ($0.spec.name, $0.spec.project) = (name, "shop")
            $0.spec.features = [part]
        }
    }

    private static func view(
        _ name: String, _ entities: [String], _ features: [(String, Feast_Types_ValueType.Enum)], ttl: Int64 = 0,
        version: Int32 = 0
    ) -> Feast_Core_FeatureView {
        .with {
            $0.spec.name = name
            $0.spec.project = "shop"
            $0.spec.entities = entities
            $0.spec.ttl.seconds = ttl
            $0.spec.features = features.map { feature in
                .with {
                    $0.name = feature.0
                    $0.valueType = feature.1
                }
            }
            $0.meta.currentVersionNumber = version
        }
    }

    private static let bytes: [UInt8] = (try? registry.serializedBytes()) ?? []

    @Test func viewsTellHowTheirRowsAreLaidOut() throws {
        let registry = try FeastRegistry(Self.bytes, project: "shop", versionedNames: true)
        let stats = try #require(registry.views["stats"])
        #expect(stats.storedName == "stats_v2" && stats.version == 2)
        #expect(stats.keys == [.init(name: "driver_id", type: .int64)])
        #expect(stats.features.map(\.name) == ["rate", "tags"])
        #expect(stats.features.map(\.type) == [.scalar(.float32), .list(.string)])
        #expect(stats.maxAge == .seconds(90))
        let global = try #require(registry.views["global"])
        #expect(global.storedName == "global" && global.keys == [FeastView.noEntity] && global.maxAge == nil)
        let stream = try #require(registry.views["stream"])
        #expect(stream.keys == stats.keys && stream.maxAge == .seconds(5))
        #expect(registry.services == ["ranker": ["stats:rate", "global:flag"]])
    }

    @Test func rowsLieUnderPlainNamesUnlessFeastIsToldOtherwise() throws {
        let registry = try FeastRegistry(Self.bytes, project: "shop")
        #expect(registry.views["stats"]?.storedName == "stats")
    }

    @Test func whatCannotBeServedSaysWhy() throws {
        let registry = try FeastRegistry(Self.bytes, project: "shop")
        #expect(Set(registry.refused.keys) == ["odd", "half:map", "strange", "lost", "odfv", "a:b"])
        #expect(registry.refused["lost"] == "entity nobody isn't in the registry")
        #expect(registry.refused["half:map"]?.contains("MAP") == true)
        #expect(registry.views["half"]?.features.map(\.type) == [.scalar(.string), .list(.string)])
        #expect(registry.refusedServices["renamed"]?.contains("another name in it, other") == true)
        #expect(registry.refusedServices["rejoined"]?.contains("other keys") == true)
        #expect(registry.refusedServices["mapped"]?.contains("half:map") == true)
        #expect(registry.refusedServices["lost"]?.contains("isn't in the registry") == true)
        #expect(registry.refusedServices["computed"]?.contains("on-demand") == true)
    }

    @Test func otherProjectsAndOtherFilesAreErrors() {
        #expect(throws: FeastRegistry.DecodingError.self) { try FeastRegistry(Self.bytes, project: "elsewhere") }
        #expect(throws: FeastRegistry.DecodingError.self) { try FeastRegistry([], project: "shop") }
        #expect(throws: FeastRegistry.DecodingError.self) {
            try FeastRegistry(Array("SQLite format 3".utf8), project: "shop")
        }
    }

    @Test(arguments: SeededGenerator.seeds(1))
    func damagedFilesAreErrorsOrRegistries(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for length in 0..<Self.bytes.count { _ = try? FeastRegistry(Array(Self.bytes[..<length]), project: "shop") }
        for _ in 0..<2_000 {
            var bytes = Self.bytes
            bytes[generator.below(bytes.count)] ^= 1 << UInt8(generator.below(8))
            _ = try? FeastRegistry(bytes, project: "shop")
        }
    }
}
