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
            view("strange", ["ratio"], [("x", .int64)]), view("lost", ["nobody"], [("x", .int64)]),
        ]
        $0.featureServices = [
            .with {
                $0.spec.name = "ranker"
                $0.spec.project = "shop"
                $0.spec.features = [
                    .with {
                        $0.featureViewName = "stats"
                        $0.featureColumns = [.with { $0.name = "rate" }]
                    },
                    .with {
                        $0.featureViewName = "global"
                        $0.featureColumns = [.with { $0.name = "flag" }]
                    },
                ]
            }
        ]
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
        let registry = try FeastRegistry(Self.bytes, project: "shop")
        let stats = try #require(registry.views["stats"])
        #expect(stats.storedName == "stats_v2")
        #expect(stats.joinKeys == ["driver_id"] && stats.keyTypes == ["driver_id": .int64])
        #expect(stats.features.map(\.name) == ["rate", "tags"])
        #expect(stats.features.map(\.type) == [.scalar(.float32), .list(.string)])
        #expect(stats.maxAge == .seconds(90))
        let global = try #require(registry.views["global"])
        #expect(global.storedName == "global" && global.joinKeys.isEmpty && global.maxAge == nil)
        #expect(registry.services == ["ranker": ["stats:rate", "global:flag"]])
    }

    @Test func viewsThatCannotBeServedSayWhy() throws {
        let refused = try FeastRegistry(Self.bytes, project: "shop").refused
        #expect(Set(refused.keys) == ["odd", "strange", "lost"])
        #expect(refused["lost"] == "entity nobody isn't in the registry")
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
