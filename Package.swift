// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "kars",
    products: [.executable(name: "kars", targets: ["Kars"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    ],
    targets: [
        // C libraries: one folder each, and one Swift folder that may import it (DESIGN 10).
        .systemLibrary(
            name: "COpenSSL", path: "Sources/CLibs/OpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CSodium", path: "Sources/CLibs/Sodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(
            name: "CYAML", path: "Sources/CLibs/YAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(
            name: "CZlib", path: "Sources/CLibs/Zlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CSQLite", path: "Sources/CLibs/SQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "CLinux", path: "Sources/CLibs/Linux"),

        .target(
            name: "KarsCore", dependencies: ["COpenSSL", "CSodium", "CYAML", "CZlib", "CLinux"], swiftSettings: settings),
        .executableTarget(
            name: "Kars",
            dependencies: [
                "KarsCore", "CLinux", "CSQLite",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings),

        .target(name: "KarsTesting", dependencies: ["KarsCore"], path: "Tests/KarsTesting", swiftSettings: settings),
        .testTarget(
            name: "KarsCoreTests", dependencies: ["KarsCore", "KarsTesting"],
            resources: [.copy("Vectors")], swiftSettings: settings),
        .testTarget(
            name: "KarsTests",
            dependencies: [
                "Kars", "KarsCore", "KarsTesting", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["Vectors"], swiftSettings: settings),
        .executableTarget(
            name: "Fuzz", dependencies: ["KarsCore"], path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: settings),
        .executableTarget(name: "Bench", dependencies: ["KarsCore"], path: "Tests/Bench", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
