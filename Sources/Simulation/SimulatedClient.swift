import Catalog
import IORuntime
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime

/// What a person does with objects through one node at a time, at the level of `ObjectAccess`: as a
/// door would, in the node's process.
package struct SimulatedClient: Sendable {
    package let cluster: SimulatedCluster
    package let bucket: BucketName
    /// What one request may take, by the clock of the node that serves it.
    package var requestLimit: Duration = .seconds(15)

    package init(_ cluster: SimulatedCluster, bucket: BucketName) {
        self.cluster = cluster
        self.bucket = bucket
    }

    /// What became of a request, when something did: nil when the node died or stood still.
    package typealias Answer<Value> = Result<Value, AccessFault>?

    package func createBucket(
        through machine: SimulatedNode
    ) async -> Answer<ObjectAccess.BucketCreation> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            guard let owner = OwnerID("root") else { brokenInvariant("root is an owner") }
            return try await access.createBucket(self.bucket, owner: owner, deadline: deadline)
        }
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

    /// The whole object, with its head.
    package func get(
        _ key: ObjectKey, through machine: SimulatedNode
    ) async -> Answer<(head: ObjectHead, body: [UInt8])> {
        await self.ask(machine) { access, loop, deadline throws(AccessFault) in
            let reader = try await access.read(key, in: self.bucket, on: loop, deadline: deadline)
            var body: [UInt8] = []
            while let part = try await reader.next() { body += part }
            return (reader.head, body)
        }
    }

    package func delete(
        _ key: ObjectKey, through machine: SimulatedNode
    ) async -> Answer<Bool> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            try await access.delete(key, in: self.bucket, deadline: deadline)
            return true
        }
    }

    /// All keys of the bucket, page by page.
    package func list(
        through machine: SimulatedNode
    ) async -> Answer<[ObjectKey]> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            let page = try await access.list(ListObjects(bucket: self.bucket), deadline: deadline)
            return page.objects.map(\.key)
        }
    }

    private func ask<Value: Sendable>(
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
            let result: Result<Value, AccessFault>
            do throws(AccessFault) {
                result = .success(try await work(node.access, loop, environment.now + limit))
            } catch { result = .failure(error) }
            return result
        }
    }
}
