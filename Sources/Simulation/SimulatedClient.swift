import Catalog
import FileClient
import HTTPTransport
import IORuntime
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Telemetry

/// What people do with objects, each request through one node: at the level of `ObjectAccess`, as a
/// door would in the node's process, or as a signed request to the node's S3 door.
package struct SimulatedClient: Sendable {
    package let cluster: SimulatedCluster
    package let bucket: BucketName
    /// What one request may take, by the clock of the node that serves it.
    package var requestLimit: Duration = .seconds(15)

    package init(_ cluster: SimulatedCluster, bucket: BucketName) {
        self.cluster = cluster
        self.bucket = bucket
    }

    /// What became of a request; nil when nobody will ever say, because the node died or stood still.
    package typealias Answer<Value> = Result<Value, AccessFault>?

    package struct FetchedObject: Sendable {
        package let head: ObjectHead
        package let body: [UInt8]
    }

    package func createBucket(
        through machine: SimulatedNode
    ) async -> Answer<ObjectAccess.BucketCreation> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            guard let owner = OwnerID(NewCluster.firstOwner) else {
                brokenInvariant("the first owner has a name")
            }
            return try await access.createBucket(self.bucket, owner: owner, deadline: deadline)
        }
    }

    /// Makes the bucket as soon as the cluster can; false when it cannot within the limit.
    func makeBucket(within limit: Duration) async -> Bool {
        let loop = self.cluster.simulator.loop
        let end = loop.now + limit
        while loop.now < end {
            if case .success = await self.createBucket(through: self.cluster.machines[0]) {
                return true
            }
            do { try await loop.sleep(for: .milliseconds(100)) } catch { return false }
        }
        return false
    }

    package func put(
        _ key: ObjectKey, _ body: [UInt8], _ precondition: ObjectPrecondition = .none,
        through machine: SimulatedNode
    ) async -> Answer<StoredObject> {
        await self.ask(machine) { access, loop, deadline throws(AccessFault) in
            var options = PutOptions()
            options.precondition = precondition
            options.stated.sizeBytes = UInt64(body.count)
            return try await access.put(
                key, in: self.bucket, BytesSource(body), options, on: loop, deadline: deadline)
        }
    }

    /// Puts a body that comes when its source gives it. The source is made on the machine's loop.
    package func put(
        _ key: ObjectKey, through machine: SimulatedNode,
        from source: @escaping @Sendable (any EventLoop) -> any BodySource
    ) async -> Answer<StoredObject> {
        await self.ask(machine) { access, loop, deadline throws(AccessFault) in
            try await access.put(
                key, in: self.bucket, source(loop), PutOptions(), on: loop, deadline: deadline)
        }
    }

    /// An object with its head, or a part of it.
    package func get(
        _ key: ObjectKey, range: Range<UInt64>? = nil, through machine: SimulatedNode
    ) async -> Answer<FetchedObject> {
        await self.ask(machine) { access, loop, deadline throws(AccessFault) in
            let reader = try await access.read(key, in: self.bucket, on: loop, deadline: deadline)
            if let range { reader.restrict(to: range) }
            var body: [UInt8] = []
            while let part = try await reader.next() { body += part }
            return FetchedObject(head: reader.head, body: body)
        }
    }

    package func delete(_ key: ObjectKey, through machine: SimulatedNode) async -> Answer<Bool> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            try await access.delete(key, in: self.bucket, deadline: deadline)
            return true
        }
    }

    /// The first page of the bucket's keys.
    package func list(through machine: SimulatedNode) async -> Answer<[ObjectKey]> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            let page = try await access.list(ListObjects(bucket: self.bucket), deadline: deadline)
            return page.objects.map(\.key)
        }
    }

    func ask<Value: Sendable>(
        _ machine: SimulatedNode,
        _ work:
            @escaping @Sendable (ObjectAccess, any EventLoop, Instant) async throws(AccessFault)
            -> Value
    ) async -> Answer<Value> {
        guard let node = self.cluster.node(on: machine) else {
            return .failure(.unavailable("the node is down"))
        }
        let environment = machine.environment
        let loop = environment.simulatedLoops[0]
        let limit = self.requestLimit
        return await self.cluster.ask(machine, patience: limit + .seconds(20)) {
            do throws(AccessFault) {
                return .success(try await work(node.access, loop, environment.now + limit))
            } catch { return .failure(error) }
        }
    }
}

// MARK: - Through the doors

extension SimulatedClient {
    /// Puts an object by one signed request to the S3 door of a machine's edge. No request is
    /// repeated: whoever repeats a put may have it done twice, with other puts between.
    package func putAtDoor(
        _ key: ObjectKey, _ body: [UInt8], of machine: SimulatedNode
    ) async -> Answer<Bool> {
        await self.askDoor(of: machine) { client throws(FileClientFault) in
            try await client.put(bytes: body, as: self.path(key))
            return true
        }
    }

    /// The bytes of an object by one request; nil inside where there is none.
    package func getAtDoor(
        _ key: ObjectKey, of machine: SimulatedNode,
        limitBytes: Int = Workload.mostBodyBytes
    ) async -> Answer<[UInt8]?> {
        await self.askDoor(of: machine) { client throws(FileClientFault) in
            try await client.bytes(of: self.path(key), limit: limitBytes)
        }
    }

    func path(_ key: ObjectKey) -> RemotePath {
        RemotePath(bucket: self.bucket.text, key: key.description)
    }

    func askDoor<Value: Sendable>(
        of machine: SimulatedNode,
        _ work: @escaping @Sendable (FileClient) async throws(FileClientFault) -> Value
    ) async -> Answer<Value> {
        await self.atDoor(of: machine, work)?.mapError { AccessFault($0) }
    }

    /// Has a client on the laptop speak with one machine's edge; nil when nobody will ever say what
    /// became of it.
    package func atDoor<Value: Sendable>(
        of machine: SimulatedNode,
        _ work: @escaping @Sendable (FileClient) async throws(FileClientFault) -> Value
    ) async -> Result<Value, FileClientFault>? {
        var options = FileClientOptions(
            edges: [EdgeAddress(Self.edge(of: machine))],
            accessKey: self.cluster.credentials.accessKey,
            secret: Redacted(self.cluster.credentials.secret))
        options.attempts.mostRounds = 1
        let environment = self.cluster.laptop.environment
        let checked = options
        return await self.cluster.ask(self.cluster.laptop, patience: .seconds(90)) {
            let client = FileClient(
                environment, loop: environment.simulatedLoops[0], options: checked)
            defer { client.close() }
            do throws(FileClientFault) { return .success(try await work(client)) } catch {
                return .failure(error)
            }
        }
    }

    /// Where a machine's edge listens.
    package static func edge(of machine: SimulatedNode) -> SocketAddress {
        SocketAddress(host: machine.host, port: SimulatedIdentities.edgePort)
    }
}

/// What a fault says of the request that met it, when nothing is wrong with the request.
package enum FaultMeaning: Sendable {
    /// Certainly not done, and may be asked for again.
    case notDone
    /// Not done now, and nothing has changed: no copy could be had.
    case unreadable
    /// Done, or not, or to be done still.
    case unknown
    /// It must not happen, whatever faults strike.
    case wrong
}

extension AccessFault {
    package var meaning: FaultMeaning {
        switch self {
        case .unavailable, .overloaded, .diskFull: .notDone
        case .unreadable: .unreadable
        case .outcomeUnknown: .unknown
        case .noSuchBucket, .noSuchKey, .noSuchUpload, .bucketNotEmpty, .bucketTaken,
            .preconditionFailed,
            .bodyMismatch, .bodyIncomplete, .bodyTooLarge, .source, .broken:
            .wrong
        }
    }
}

extension AccessFault {
    /// What a client learned from an edge, in the terms of the edge.
    fileprivate init(_ fault: FileClientFault) {
        switch fault {
        case .noEdgeAnswered(_, _, let last, _, _):
            switch last {
            case .unreachable, .overloaded: self = .unavailable("\(fault)")
            case .broken, .timedOut, .failed: self = .outcomeUnknown("\(fault)")
            case .corrupted, .untrusted: self = .broken("\(fault)")
            }
        case .refused(let refusal, _):
            switch refusal.code {
            case "NoSuchKey": self = .noSuchKey
            case "PreconditionFailed": self = .preconditionFailed
            case "InsufficientStorage": self = .diskFull("\(fault)")
            case "RequestTimeTooSkewed", "RequestTimeout", "IncompleteBody":
                self = .unavailable("\(fault)")
            default: self = .broken("\(fault)")
            }
        case .cancelled: self = .outcomeUnknown("\(fault)")
        case .file, .notUploadable, .noSuchFile, .noUploadPlace, .changedWhileSent,
            .storedDifferently, .corrupted, .noDownloadPlace, .blockedByEntry, .nothingThere,
            .malformedAnswer, .answerTooLarge, .noSecurity, .unsendable, .changedWhileRead,
            .uncheckable, .differs, .busy, .copyOntoItself, .copyIntoItself, .keyTooLong:
            self = .broken("\(fault)")
        }
    }
}
