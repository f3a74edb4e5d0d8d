import Catalog
import ClusterClient
import IORuntime
import Primitives

/// Whether a bucket gets slower as it grows: the same requests, by turns, to a bucket of some
/// thousand objects and to one of some million.
///
/// The buckets belong to different groups, so that neither's rows lie between the other's, and the
/// turns are short, so that what else the machine does falls on both.
struct ScaleWorkload: Sendable {
    static let objectCounts = 1_000...100_000_000
    static let roundCounts = 1...1_000
    static let clientCounts = 1...256
    /// Puts under way while a bucket is filled: many share an entry of the log.
    private static let fillingClients = 768
    private static let fillingReport: Duration = .seconds(10)
    private static let callTimeout: Duration = .seconds(60)
    private static let valueBytes = 64
    /// Of each kind, each turn.
    private static let operationsPerTurn: [ScaleOperation: Int] = [.get: 400, .put: 200, .list: 40]

    let small: Int
    let large: Int
    let rounds: Int
    let clients: Int
    let report: @Sendable (String) -> Void

    /// Fills the buckets where they are not full yet, and measures both.
    func run(
        by cluster: ClusterClient, in environment: any Environment
    ) async throws(BenchFault) -> ScaleReport {
        let names = try Self.names(in: cluster)
        let small = try await self.bucket(names.0, self.small, cluster, environment)
        try await self.fill(small, self.small, environment)
        let large = try await self.bucket(names.1, self.large, cluster, environment)
        try await self.fill(large, self.large, environment)
        // Once without being counted: connections, sessions, caches.
        _ = try await self.round(1, small, large, environment)
        var report = ScaleReport(small: self.small, large: self.large)
        for number in 0..<self.rounds {
            report.add(try await self.round(number + 2, small, large, environment))
        }
        return report
    }

    /// Two buckets that belong to different groups.
    private static func names(
        in cluster: ClusterClient
    ) throws(BenchFault) -> (BucketName, BucketName) {
        var first: (name: BucketName, group: GroupID)?
        for number in 0..<1_000 {
            guard let name = BucketName("bench-scale-\(number)"),
                let group = cluster.group(owning: name.slot)
            else { continue }
            guard let known = first else {
                first = (name, group)
                continue
            }
            if known.group != group { return (known.name, name) }
        }
        throw .refused("it has no two data groups")
    }

    private func bucket(
        _ name: BucketName, _ count: Int, _ cluster: ClusterClient, _ environment: any Environment
    ) async throws(BenchFault) -> BenchObjects {
        try await BenchObjects(
            cluster: cluster, keys: count, valueBytes: Self.valueBytes, names: [name],
            areScattered: true, callTimeout: Self.callTimeout, environment: environment)
    }

    private func fill(
        _ objects: BenchObjects, _ count: Int, _ environment: any Environment
    ) async throws(BenchFault) {
        guard try await objects.areMissing() else { return }
        let numbers = OperationCount()
        let start = environment.now
        let failures = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<Self.fillingClients {
                group.addTask {
                    var failures = 0
                    while case let number = numbers.next(), number < count {
                        if await objects.put(number) != .done { failures += 1 }
                        if number % 100_000 == 99_999 {
                            let seconds = (environment.now - start).components.seconds
                            self.report("\(number + 1) of \(count) objects after \(seconds) s")
                        }
                    }
                    return failures
                }
            }
            return await group.reduce(0, +)
        }
        guard failures == 0 else { throw .refused("\(failures) of \(count) puts failed") }
    }

    /// One turn of each kind for either bucket.
    private func round(
        _ number: Int, _ small: BenchObjects, _ large: BenchObjects, _ environment: any Environment
    ) async throws(BenchFault) -> ScaleReport {
        var report = ScaleReport(small: self.small, large: self.large)
        for operation in ScaleOperation.allCases {
            // Who goes first changes, so that neither always finds the machine just used.
            let isLargeFirst = number.isMultiple(of: 2)
            for isLarge in [isLargeFirst, !isLargeFirst] {
                let tally = await self.turn(
                    operation, number, isLarge ? large : small, environment)
                guard tally.errors == 0, tally.wrongValues == 0 else {
                    throw .refused("\(tally.errors) failures, \(tally.wrongValues) wrong answers")
                }
                report.add(operation, isLarge: isLarge, tally)
            }
        }
        return report
    }

    private func turn(
        _ operation: ScaleOperation, _ round: Int, _ objects: BenchObjects,
        _ environment: any Environment
    ) async -> BenchTally {
        let count = Self.operationsPerTurn[operation] ?? 0
        let numbers = OperationCount()
        return await withTaskGroup(of: BenchTally.self) { group in
            for _ in 0..<self.clients {
                group.addTask {
                    var tally = BenchTally()
                    while case let number = numbers.next(), number < count {
                        // Over the whole bucket, and elsewhere in each round.
                        let key = Int(
                            StableHash.of(
                                [UInt8](
                                    "\(operation) \(round) \(number)".utf8)) >> 2)
                        let before = environment.now
                        let outcome =
                            switch operation {
                            case .get: await objects.read(key)
                            case .put: await objects.put(key)
                            case .list: await objects.list(behind: key)
                            }
                        tally.record(outcome, took: environment.now - before)
                    }
                    return tally
                }
            }
            var sum = BenchTally()
            for await tally in group { sum.add(tally) }
            return sum
        }
    }
}

enum ScaleOperation: String, CaseIterable, Sendable {
    case get, put
    /// One page of keys, from a place in the middle of the bucket.
    case list
}

/// The latencies of each kind of request, from the small bucket and from the large one.
struct ScaleReport: Sendable {
    private let counts: [Int]
    /// In milliseconds, by operation: of the small bucket, of the large one.
    private var latencies: [ScaleOperation: [[Float]]] = [:]

    init(small: Int, large: Int) { self.counts = [small, large] }

    mutating func add(_ operation: ScaleOperation, isLarge: Bool, _ tally: BenchTally) {
        self.latencies[operation, default: [[], []]][isLarge ? 1 : 0] += tally.latencies
    }

    mutating func add(_ other: ScaleReport) {
        for operation in ScaleOperation.allCases {
            for place in 0...1 {
                self.latencies[operation, default: [[], []]][place] +=
                    other.latencies[operation]?[place] ?? []
            }
        }
    }

    /// Whether the medians of the large bucket are within `percent` of the small one's.
    func holds(withinPercent percent: Int) -> Bool {
        ScaleOperation.allCases.allSatisfy {
            self.ratio($0, 0.5) <= 1 + Double(percent) / 100
        }
    }

    /// A table in Markdown.
    var lines: [String] {
        var lines = [
            "| operation | p50 at \(self.counts[0]) | p50 at \(self.counts[1]) | ratio "
                + "| p99 at \(self.counts[0]) | p99 at \(self.counts[1]) | ratio |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for operation in ScaleOperation.allCases {
            let cells = [0.5, 0.99].flatMap { fraction in
                [
                    Self.text(self.percentile(operation, 0, fraction)) + " ms",
                    Self.text(self.percentile(operation, 1, fraction)) + " ms",
                    Self.text(self.ratio(operation, fraction)),
                ]
            }
            lines.append("| \(operation) | " + cells.joined(separator: " | ") + " |")
        }
        return lines
    }

    private func ratio(_ operation: ScaleOperation, _ fraction: Double) -> Double {
        let small = self.percentile(operation, 0, fraction)
        return small == 0 ? 0 : self.percentile(operation, 1, fraction) / small
    }

    /// The least latency that `fraction` of the operations do not exceed.
    private func percentile(
        _ operation: ScaleOperation, _ place: Int, _ fraction: Double
    ) -> Double {
        let sorted = (self.latencies[operation]?[place] ?? []).sorted()
        guard !sorted.isEmpty else { return 0 }
        return Double(sorted[max(1, Int((fraction * Double(sorted.count)).rounded(.up))) - 1])
    }

    private static func text(_ value: Double) -> String { BenchReport.decimal(value) }
}
