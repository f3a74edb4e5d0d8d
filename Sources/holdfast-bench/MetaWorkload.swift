import Catalog
import ClusterClient
import IORuntime
import Placement
import Primitives
import Synchronization

/// A closed loop of clients that put and read small objects through one `ClusterClient`, as an edge
/// does for its requests: same retries, same command identities, same connections.
struct MetaWorkload: Sendable {
    enum Kind: String, Sendable {
        case put
        /// Linearizable reads. (The word is that of the peers' generators.)
        case range
        /// Puts and reads by turns.
        case mix
    }

    static let clientCounts = 1...1_000
    static let valueSizesBytes = 1...CatalogLimits.inlineBytes
    static let keyCounts = 1...10_000_000
    static let bucketCounts = 1...64
    private static let callTimeout: Duration = .seconds(10)

    let kind: Kind
    let clients: Int
    let count: Int
    let span: Duration
    let valueBytes: Int
    let keys: Int
    let buckets: Int

    private static func bucketNames(_ count: Int) -> [BucketName] {
        (0..<count).map { number in
            guard let name = BucketName("bench-metadata-\(number)") else {
                brokenInvariant("fixed names are valid")
            }
            return name
        }
    }

    func run(
        by cluster: ClusterClient, in environment: any Environment
    ) async throws(BenchFault) -> BenchReport {
        let objects = try await BenchObjects(
            cluster: cluster, keys: self.keys, valueBytes: self.valueBytes,
            names: Self.bucketNames(self.buckets), callTimeout: Self.callTimeout,
            environment: environment)
        if try await objects.areMissing() {
            let filling = await self.measure(
                objects, kind: .put, count: self.keys, until: Instant(nanoseconds: .max),
                environment)
            guard filling.errors == 0 else {
                throw .refused("\(filling.errors) of \(self.keys) keys could not be put first")
            }
        }
        let processorBefore = ProgramEnvironment.processorTime
        let start = environment.now
        let tally = await self.measure(
            objects, kind: self.kind, count: self.count, until: start + self.span, environment)
        return BenchReport(
            operation: self.kind.rawValue, valueBytes: self.valueBytes, clients: self.clients,
            tally: tally, elapsed: environment.now - start,
            processorTime: ProgramEnvironment.processorTime - processorBefore)
    }

    private func measure(
        _ objects: BenchObjects, kind: Kind, count: Int, until end: Instant,
        _ environment: any Environment
    ) async -> BenchTally {
        let nextOperation = OperationCount()
        return await withTaskGroup(of: BenchTally.self) { group in
            for _ in 0..<self.clients {
                group.addTask {
                    await Self.client(
                        objects, kind: kind, nextOperation, count: count, until: end, environment)
                }
            }
            var sum = BenchTally()
            for await tally in group { sum.add(tally) }
            return sum
        }
    }

    private static func client(
        _ objects: BenchObjects, kind: Kind, _ nextOperation: OperationCount, count: Int,
        until end: Instant, _ environment: any Environment
    ) async -> BenchTally {
        var tally = BenchTally()
        while true {
            let number = nextOperation.next()
            let before = environment.now
            guard number < count, before < end else { return tally }
            let isPut = kind == .put || (kind == .mix && number % 2 == 1)
            // Puts walk over the keys, so that a long run has put each of them; reads jump.
            let key =
                kind == .put ? number : Int(UInt32(truncatingIfNeeded: number) &* 2_654_435_761)
            let outcome =
                isPut ? await objects.put(key) : await objects.read(key)
            tally.record(outcome, took: environment.now - before)
        }
    }
}

/// Numbers the operations of all clients.
final class OperationCount: Sendable {
    private let value = Atomic<Int>(0)
    func next() -> Int { self.value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// The objects that a workload puts and reads. The bytes of each follow from its number.
struct BenchObjects: Sendable {
    private let cluster: ClusterClient
    private let environment: any Environment
    private let callTimeout: Duration
    private let keys: Int
    private let valueBytes: Int
    private let areScattered: Bool
    private let buckets: [Bucket]
    private let entityTag: EntityTag
    private let layout: LayoutVersion

    /// Makes the buckets that are not there.
    ///
    /// - Parameter areScattered: keys have no order; else they stand in that of their numbers.
    init(
        cluster: ClusterClient, keys: Int, valueBytes: Int, names: [BucketName],
        areScattered: Bool = false, callTimeout: Duration, environment: any Environment
    ) async throws(BenchFault) {
        guard let entityTag = EntityTag(String(repeating: "0", count: 32)) else {
            brokenInvariant("digits make a valid entity tag")
        }
        guard let layout = cluster.layout else { throw .refused("it has no layout") }
        self.cluster = cluster
        self.environment = environment
        self.callTimeout = callTimeout
        self.keys = keys
        self.valueBytes = valueBytes
        self.areScattered = areScattered
        self.entityTag = entityTag
        self.layout = layout.version
        var made: [Bucket] = []
        for name in names {
            do throws(ClusterFault) {
                made.append(
                    try await Self.bucket(
                        name, of: cluster, deadline: environment.now + callTimeout))
            } catch { throw .cluster(error) }
        }
        self.buckets = made
    }

    private static func bucket(
        _ name: BucketName, of cluster: ClusterClient, deadline: Instant
    ) async throws(ClusterFault) -> Bucket {
        guard let owner = OwnerID("bench") else { brokenInvariant("a fixed name is valid") }
        let key = try await cluster.makeBucketKey(for: name, deadline: deadline)
        let create = CreateBucket(name: name, owner: owner, wrappedKey: key.bytes)
        let result = try await cluster.submit(.createBucket(create), deadline: deadline)
        guard case .bucket(let bucket) = try await cluster.query(.bucket(name), deadline: deadline)
        else { throw .unavailable("bucket \(name): \(result)") }
        return bucket
    }

    private var deadline: Instant { self.environment.now + self.callTimeout }

    /// Whether the last of the keys is not there, which a run puts last.
    func areMissing() async throws(BenchFault) -> Bool {
        let (bucket, key) = self.name(self.keys - 1)
        do throws(ClusterFault) {
            return try await self.cluster.query(
                .object(bucket.name, key, withManifest: false), deadline: self.deadline) == .absent
        } catch { throw .cluster(error) }
    }

    /// One command of the catalog: what an edge submits for a small PUT.
    func put(_ number: Int) async -> BenchOutcome {
        let (bucket, key) = self.name(number)
        do throws(ClusterFault) {
            let value = self.value(number)
            let operation = CatalogOperation.putObject(
                PutObject(
                    bucket: bucket.name, key: key, size: UInt64(value.count),
                    entityTag: self.entityTag,
                    sha256: [UInt8](repeating: 0x5a, count: 32),
                    attributes: ObjectAttributes(contentType: "application/octet-stream"),
                    content: ObjectContent(
                        .inline(name: try self.cluster.makeChunkName(), sealed: value),
                        placedBy: self.layout, sealedFor: bucket.version)))
            guard case .stored = try await self.cluster.submit(operation, deadline: self.deadline)
            else { return .failed }
            return .done
        } catch { return .failed }
    }

    func read(_ number: Int) async -> BenchOutcome {
        let (bucket, key) = self.name(number)
        do throws(ClusterFault) {
            let answer = try await self.cluster.query(
                .object(bucket.name, key, withManifest: true), deadline: self.deadline)
            guard case .object(_, .inline(_, let bytes)) = answer else { return .wrongValue }
            return bytes == self.value(number) ? .verified : .wrongValue
        } catch { return .failed }
    }

    /// A page of keys behind this one, of a full page's length where the bucket goes on so far.
    func list(behind number: Int) async -> BenchOutcome {
        let (bucket, key) = self.name(number)
        do throws(ClusterFault) {
            let answer = try await self.cluster.query(
                .objects(ListObjects(bucket: bucket.name, start: .after(key.utf8))),
                deadline: self.deadline)
            guard case .objects(let page) = answer else { return .wrongValue }
            let isFull = page.objects.count == CatalogLimits.listPage || !page.isTruncated
            return isFull ? .verified : .wrongValue
        } catch { return .failed }
    }

    private func name(_ number: Int) -> (Bucket, ObjectKey) {
        let number = number % self.keys
        if self.areScattered {
            let place = StableHash.of("\(number)".utf8)
            guard let key = ObjectKey("bench/" + String(place, radix: 16)) else {
                brokenInvariant("digits make a valid key")
            }
            return (self.buckets[number % self.buckets.count], key)
        }
        let digits = String(number)
        let padded = String(repeating: "0", count: max(0, 10 - digits.utf8.count)) + digits
        guard let key = ObjectKey("bench/" + padded) else {
            brokenInvariant("digits make a valid key")
        }
        return (self.buckets[number % self.buckets.count], key)
    }

    private func value(_ number: Int) -> [UInt8] {
        var state = UInt64(number % self.keys) &* 0x9e37_79b9_7f4a_7c15 &+ 1
        return (0..<self.valueBytes).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(ascii: "a") + UInt8(state % 26)
        }
    }
}
