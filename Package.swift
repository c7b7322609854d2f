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
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(
            name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),

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
        room("Telemetry", [.product(name: "Logging", package: "swift-log")]),
        room(
            "Sync",
            [
                "FeatureModel", "Resilience", "RowCodec", "OnlineStore", "Extraction", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        room(
            "Serving",
            [
                "FeatureModel", "Resilience", "RowCodec", "RedisClient", "OnlineStore", "Telemetry",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio),
        .executableTarget(
            name: "tidemark",
            dependencies: [
                "FeatureModel", "Resilience", "RowCodec", "RedisClient", "LocalDatabase", "OnlineStore", "Extraction",
                "Telemetry", "Sync", "Serving", "RetailRocket",
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
        room("RetailRocket", ["LocalDatabase"]),
        room(
            "TidemarkTesting",
            ["FeatureModel", "Resilience", "RowCodec", "OnlineStore", "RedisClient", "LocalDatabase", "Extraction"]),

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
        tests("TelemetryTests", ["Telemetry"]),
        tests(
            "ServingTests",
            [
                "Serving", "OnlineStore", "RowCodec", "FeatureModel", "RedisClient", "Resilience", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio),
        tests(
            "SyncTests",
            [
                "Sync", "Extraction", "OnlineStore", "RowCodec", "FeatureModel", "LocalDatabase", "Resilience",
                "Telemetry",
            ]),
        tests("TidemarkTests", ["tidemark", "LocalDatabase", "OnlineStore", "FeatureModel"]),
    ]
)
