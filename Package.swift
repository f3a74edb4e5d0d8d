// swift-tools-version: 6.2
// The modules and the arrows between them. `Sources/ARCHITECTURE.md` explains each row, and
// `TidyTests` holds the imports in the code against its table.
import Foundation
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// What every module above the base may import, and what everything from the shells up may too.
let base = ["Primitives", "Wire", "OrderedStorage", "Telemetry"]
let cores = [
    "Consensus", "Placement", "Catalog", "ChunkProtocol", "CachePolicy", "Signing", "HTTPSyntax",
]
let shellBase = base + ["IORuntime"]

func module(_ name: String, _ dependencies: [String] = []) -> Target {
    .target(
        name: name, dependencies: dependencies.map { .byName(name: $0) },
        swiftSettings: swiftSettings)
}

func program(_ name: String, _ dependencies: [String]) -> Target {
    .executableTarget(
        name: name, dependencies: (shellBase + dependencies).map { .byName(name: $0) },
        swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [String] = [], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: (base + dependencies).map { .byName(name: $0) },
        resources: resources, swiftSettings: swiftSettings)
}

let libraries: [Target] = [
    .systemLibrary(name: "CRocksDB", providers: [.apt(["librocksdb-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "CLinux"),
    .target(name: "CChecksum"),
    .target(name: "CSimulation"),
    .target(
        name: "CRocksDBShim", dependencies: ["CRocksDB"],
        cxxSettings: [.unsafeFlags(["-std=c++17", "-fno-rtti"])],
        linkerSettings: [.linkedLibrary("rocksdb"), .linkedLibrary("stdc++")]),
    .target(
        name: "COpenSSLShim", dependencies: ["COpenSSL"],
        linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(
        name: "CZstdShim", dependencies: ["CZstd"],
        linkerSettings: [.linkedLibrary("zstd")]),

    module("Primitives", ["CChecksum"]),
    module("Wire", ["Primitives"]),
    module("OrderedStorage", ["Primitives"]),
    module("Telemetry", ["Primitives"]),

    module("Consensus", base),
    module("Placement", base),
    module("Catalog", base + ["Placement"]),
    module("ChunkProtocol", base + ["Placement"]),
    module("CachePolicy", base),
    module("Signing", base),
    module("HTTPSyntax", base),

    module("IORuntime", base + ["CLinux"]),
    module("Cryptography", shellBase + ["Signing", "COpenSSL", "COpenSSLShim"]),
    module("SimulatedRuntime", shellBase + ["Cryptography", "CSimulation"]),
    module("RocksStore", shellBase + ["CRocksDB", "CRocksDBShim"]),
    module("ChunkStore", shellBase + ["ChunkProtocol", "Placement"]),
    module("PeerTransport", shellBase + ["Cryptography"]),
    module("HTTPTransport", shellBase + ["HTTPSyntax", "Cryptography"]),

    module("ClusterClient", shellBase + cores + ["PeerTransport"]),
    module(
        "ObjectAccess",
        shellBase + [
            "ClusterClient", "PeerTransport", "Catalog", "Placement", "ChunkProtocol",
            "CachePolicy", "Cryptography", "CZstdShim",
        ]),

    module(
        "ObjectExchange",
        shellBase + [
            "ObjectAccess", "ClusterClient", "Catalog", "HTTPTransport", "HTTPSyntax", "Signing",
            "Cryptography",
        ]),

    module(
        "S3Door",
        shellBase + [
            "ObjectExchange", "ObjectAccess", "Catalog", "HTTPTransport", "HTTPSyntax", "Signing",
            "Cryptography",
        ]),
    module(
        "LinkDoor",
        shellBase + [
            "ObjectExchange", "ObjectAccess", "ClusterClient", "Catalog", "HTTPTransport",
            "HTTPSyntax", "Signing", "Cryptography",
        ]),

    module(
        "EdgeNode",
        shellBase + [
            "S3Door", "LinkDoor", "ObjectExchange", "ObjectAccess", "ClusterClient",
            "CachePolicy", "PeerTransport", "HTTPTransport", "HTTPSyntax", "Cryptography",
        ]),
    module("MetaNode", shellBase + cores + ["PeerTransport", "ClusterClient", "Cryptography"]),
    module(
        "StoreNode",
        shellBase + cores + ["ChunkStore", "PeerTransport", "ClusterClient", "Cryptography"]),
    module(
        "FileClient",
        shellBase + ["Signing", "HTTPSyntax", "HTTPTransport", "Cryptography"]),

    module("Settings", shellBase + ["EdgeNode", "MetaNode", "StoreNode", "FileClient"]),
    module(
        "Node",
        shellBase + cores + [
            "EdgeNode", "MetaNode", "StoreNode", "ChunkStore", "ObjectAccess", "PeerTransport",
            "HTTPTransport", "ClusterClient", "Cryptography", "Settings",
        ]),
    module(
        "Simulation",
        shellBase + cores + [
            "Node", "MetaNode", "StoreNode", "ChunkStore", "ClusterClient", "ObjectAccess",
            "PeerTransport",
            "FileClient", "HTTPTransport", "SimulatedRuntime", "Settings", "Cryptography",
        ]),
    module("ChaosKit", shellBase + ["FileClient", "Settings"]),

    program(
        "holdfast",
        ["Node", "RocksStore", "ChunkStore", "FileClient", "Settings", "Cryptography"]),
    program("holdfast-simulate", ["Simulation", "Settings"]),
    program("holdfast-chaos", ["ChaosKit", "FileClient", "Settings"]),
    program(
        "holdfast-bench",
        ["Node", "ClusterClient", "Catalog", "Placement", "Settings"]),
]

let testTargets: [Target] = [
    .target(
        name: "Support", dependencies: (shellBase + ["SimulatedRuntime"]).map { .byName(name: $0) },
        path: "Tests/Support", swiftSettings: swiftSettings),
    tests("PrimitivesTests"),
    tests("WireTests"),
    tests("OrderedStorageTests", ["Support"]),
    tests("TelemetryTests"),
    tests("ConsensusTests", ["Consensus", "Support"], resources: [.copy("Scripts")]),
    tests("PlacementTests", ["Placement"]),
    tests("CatalogTests", ["Catalog", "Placement"]),
    tests("ChunkProtocolTests", ["ChunkProtocol", "Placement"]),
    tests("CachePolicyTests", ["CachePolicy"]),
    tests("SigningTests", ["Signing", "Cryptography", "IORuntime"]),
    tests("HTTPSyntaxTests", ["HTTPSyntax"]),
    tests("IORuntimeTests", ["IORuntime"]),
    tests("CryptographyTests", ["Cryptography", "IORuntime", "SimulatedRuntime"]),
    tests("SimulatedRuntimeTests", ["SimulatedRuntime", "IORuntime", "Cryptography", "Support"]),
    tests("RocksStoreTests", ["RocksStore", "IORuntime", "Support"]),
    tests(
        "ChunkStoreTests",
        [
            "ChunkStore", "StoreNode", "ChunkProtocol", "Catalog", "Placement", "PeerTransport",
            "IORuntime", "SimulatedRuntime", "RocksStore",
        ]),
    tests(
        "PeerTransportTests", ["PeerTransport", "IORuntime", "Cryptography", "SimulatedRuntime"]),
    tests(
        "HTTPTransportTests",
        ["HTTPTransport", "HTTPSyntax", "IORuntime", "Cryptography", "SimulatedRuntime"]),
    tests(
        "ObjectAccessTests",
        [
            "ObjectAccess", "ClusterClient", "Catalog", "Placement", "ChunkProtocol",
            "CachePolicy", "PeerTransport", "IORuntime", "Cryptography", "SimulatedRuntime",
        ]),
    tests(
        "S3DoorTests",
        [
            "S3Door", "ObjectExchange", "ObjectAccess", "ClusterClient", "Catalog",
            "HTTPTransport", "HTTPSyntax", "Signing", "Cryptography", "IORuntime",
        ]),
    tests(
        "LinkDoorTests",
        [
            "LinkDoor", "ObjectExchange", "ObjectAccess", "ClusterClient", "Catalog",
            "HTTPTransport", "HTTPSyntax", "Signing", "Cryptography", "SimulatedRuntime",
            "IORuntime",
        ]),
    tests(
        "MetaNodeTests",
        [
            "MetaNode", "ClusterClient", "PeerTransport", "Cryptography", "SimulatedRuntime",
            "IORuntime",
        ] + cores),
    tests(
        "ClusterClientTests",
        ["ClusterClient", "PeerTransport", "SimulatedRuntime", "IORuntime"] + cores),
    tests(
        "NodeTests",
        [
            "Node", "MetaNode", "StoreNode", "ObjectAccess", "Settings", "IORuntime",
            "SimulatedRuntime", "Cryptography",
        ] + cores),
    tests(
        "FileClientTests",
        [
            "FileClient", "HTTPTransport", "HTTPSyntax", "Signing", "IORuntime", "Cryptography",
            "SimulatedRuntime",
        ]),
    tests("SettingsTests", ["Settings", "FileClient", "IORuntime", "SimulatedRuntime"]),
    tests(
        "SimulationTests",
        [
            "Simulation", "SimulatedRuntime", "Node", "MetaNode", "StoreNode", "ChunkStore",
            "ClusterClient",
            "ObjectAccess", "PeerTransport", "FileClient", "HTTPTransport", "Cryptography",
            "IORuntime",
        ] + cores),
    tests(
        "ClusterTests",
        ["IORuntime", "FileClient", "ChaosKit", "HTTPTransport", "HTTPSyntax", "holdfast"],
        resources: [.copy("stock_client.py")]),
    tests("TidyTests", ["IORuntime"]),
]

/// A target enters the build with its folder.
let present = (libraries + testTargets).filter { target in
    let folder = target.path ?? (target.isTest ? "Tests/" : "Sources/") + target.name
    return FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + folder)
}
for target in present {
    target.dependencies.removeAll { dependency in
        guard case .byNameItem(let name, _) = dependency else { return false }
        return !present.contains { $0.name == name }
    }
}

/// `ONLY=ConsensusTests swift test` builds that target and what it stands on, nothing else.
func closure(of names: [String], in present: [Target]) -> [Target] {
    var wanted: Set<String> = []
    var waiting = names
    while let name = waiting.popLast() {
        guard wanted.insert(name).inserted else { continue }
        guard let target = present.first(where: { $0.name == name }) else { continue }
        for dependency in target.dependencies {
            if case .byNameItem(let name, _) = dependency { waiting.append(name) }
        }
    }
    return present.filter { wanted.contains($0.name) }
}

let only = Context.environment["ONLY"]?.split(separator: ",").map(String.init)

let package = Package(
    name: "holdfast", targets: only.map { closure(of: $0, in: present) } ?? present)
