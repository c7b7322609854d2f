// swift-tools-version: 6.2
import PackageDescription

/// The settings every target of the house is built with.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
]

let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: house)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], path: String? = nil, exclude: [String] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TidemarkTesting"], path: path, exclude: exclude,
        swiftSettings: house)
}

let package = Package(
    name: "tidemark",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "tidemark", targets: ["tidemark"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        .systemLibrary(
            name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(
            name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(
            name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CXGBoost", providers: [.apt(["libxgboost-dev"])]),

        room("FeatureModel", [yams]),
        room("Resilience", []),
        room("RowCodec", ["FeatureModel", "CLZ4"]),
        room(
            "RedisClient",
            ["CHiredis", "Resilience", .product(name: "NIOSSL", package: "swift-nio-ssl")] + nio),
        room("LocalDatabase", ["CSQLite"]),
        room(
            "OnlineStore",
            [
                "FeatureModel", "RowCodec", "RedisClient", "LocalDatabase", "Resilience",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        room("Extraction", ["FeatureModel", "Resilience", "LocalDatabase", "CPostgres"]),
        room(
            "Telemetry",
            [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        room(
            "Sync",
            [
                "FeatureModel", "Resilience", "RowCodec", "OnlineStore", "Extraction", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        room(
            "Recall",
            [
                "FeatureModel", "LocalDatabase", "Extraction", "COpenBLAS",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        room(
            "Ranking",
            [
                "FeatureModel", "CXGBoost",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
            ] + nio),
        room("Training", ["FeatureModel", "Extraction", "Ranking"]),
        room(
            "Events",
            [
                "Resilience", "RedisClient", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio),
        room(
            "Recommend",
            [
                "FeatureModel", "Resilience", "OnlineStore", "Recall", "Ranking", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        room(
            "Serving",
            [
                "FeatureModel", "Resilience", "RowCodec", "RedisClient", "LocalDatabase", "OnlineStore", "Ranking",
                "Recommend", "Events", "Telemetry",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio),
        // Generated by ops/lib/generate-protos; its warnings are nobody's fault here.
        .target(
            name: "ServingProtos",
            dependencies: [
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        room(
            "FeastRows",
            [
                "FeatureModel", "RowCodec", "RedisClient", "OnlineStore", "ServingProtos",
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        room(
            "ServingGRPC",
            [
                "FeatureModel", "OnlineStore", "Recommend", "Resilience", "Serving", "ServingProtos", "Telemetry",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ] + nio),
        .executableTarget(
            name: "tidemark",
            dependencies: [
                "FeatureModel", "Resilience", "RowCodec", "RedisClient", "LocalDatabase", "OnlineStore", "Extraction",
                "Telemetry", "Sync", "Recall", "Ranking", "Training", "Recommend", "Events", "Serving", "ServingGRPC",
                "FeastRows", "RetailRocket",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                yams,
            ],
            swiftSettings: house),
        .executableTarget(
            name: "lookup-core",
            dependencies: [
                "FeatureModel", "RowCodec", "OnlineStore", .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Benchmarks/LookupCore", swiftSettings: house),
        .executableTarget(
            name: "lookup-bare",
            dependencies: [
                "RedisClient",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio,
            path: "Benchmarks/LookupBare", swiftSettings: house),
        .executableTarget(
            name: "lookup-load",
            dependencies: [
                "Ranking", "RedisClient", "TidemarkTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio,
            path: "Benchmarks/LookupLoad", swiftSettings: house),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "FeatureModel", "RowCodec", "OnlineStore", "Serving", "TidemarkTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Benchmarks/Fuzz", swiftSettings: house),
        .executableTarget(
            name: "token-timing", dependencies: ["Serving"], path: "Benchmarks/TokenTiming", swiftSettings: house),
        .executableTarget(
            name: "score-rows", dependencies: ["Ranking"], path: "Benchmarks/ScoreRows", swiftSettings: house),
        // The nearest items by comparing all against hnswlib (libhnswlib-dev, headers alone), which nothing else needs.
        .target(name: "CHNSW", path: "Benchmarks/CHNSW"),
        .executableTarget(
            name: "nearest-items", dependencies: ["CHNSW", "Recall"], path: "Benchmarks/NearestItems",
            swiftSettings: house),
        room("RetailRocket", ["LocalDatabase"]),
        room(
            "TidemarkTesting",
            [
                "FeatureModel", "Resilience", "RowCodec", "OnlineStore", "RedisClient", "LocalDatabase", "Extraction",
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio),

        tests("FeatureModelTests", ["FeatureModel"]),
        tests("ResilienceTests", ["Resilience"]),
        tests("RowCodecTests", ["RowCodec", "FeatureModel"]),
        tests(
            "RedisClientTests",
            ["RedisClient", "Resilience", .product(name: "NIOEmbedded", package: "swift-nio")] + nio),
        tests("LocalDatabaseTests", ["LocalDatabase"]),
        tests(
            "OnlineStoreTests",
            ["OnlineStore", "RowCodec", "FeatureModel", "RedisClient", .product(name: "NIOCore", package: "swift-nio")]),
        tests("ExtractionTests", ["Extraction", "FeatureModel", "LocalDatabase"], exclude: ["Postgres"]),
        tests(
            "PostgresTests", ["Extraction", "FeatureModel", "LocalDatabase"], path: "Tests/ExtractionTests/Postgres"),
        tests("RetailRocketTests", ["RetailRocket", "LocalDatabase"]),
        tests(
            "TelemetryTests",
            [
                "Telemetry", .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        tests(
            "RecallTests",
            [
                "Recall", "Extraction", "FeatureModel", "LocalDatabase", "RetailRocket",
                .product(name: "Logging", package: "swift-log"),
            ]),
        tests(
            "RankingTests",
            ["Ranking", "Training", "Recall", "Extraction", "FeatureModel", "LocalDatabase", "RetailRocket"]),
        tests(
            "RecommendTests",
            [
                "Recommend", "Recall", "Ranking", "OnlineStore", "RowCodec", "FeatureModel", "Resilience", "Telemetry",
                "RedisClient",
                .product(name: "Logging", package: "swift-log"),
            ]),
        tests(
            "EventsTests",
            [
                "Events", "RedisClient", "Resilience", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        tests(
            "ServingTests",
            [
                "Serving", "Events", "LocalDatabase", "OnlineStore", "Ranking", "Recommend", "RowCodec", "FeatureModel",
                "RedisClient", "Resilience", "Telemetry",
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio),
        tests(
            "FeastRowsTests",
            [
                "FeastRows", "FeatureModel", "OnlineStore", "RedisClient", "ServingProtos",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        tests(
            "ServingGRPCTests",
            [
                "ServingGRPC", "ServingProtos", "Serving", "OnlineStore", "RowCodec", "FeatureModel", "RedisClient",
                "Ranking", "Recall", "Recommend", "Resilience", "Telemetry",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ] + nio),
        tests(
            "SyncTests",
            [
                "Sync", "Extraction", "OnlineStore", "RowCodec", "FeatureModel", "LocalDatabase", "Resilience",
                "Telemetry",
            ]),
        tests(
            "TidemarkTests",
            [
                "tidemark", "fuzz", "Serving", "LocalDatabase", "OnlineStore", "FeatureModel", "ServingProtos",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
    ],
    cxxLanguageStandard: .cxx17
)
