import Catalog
import Cryptography
import IORuntime
import ObjectAccess
import Placement
import Primitives
import SimulatedRuntime
import Testing

@Suite struct UploadTests {
    private enum NoRefusal: Error { case refused }

    private struct Session: Sendable {
        let world: AccessWorld
        let id: UploadID
        let key: ObjectKey
        var bucket: BucketName { get throws { try AccessWorld.bucket } }
        var deadline: Instant { self.world.loop.now + .seconds(20) }

        init(_ world: AccessWorld, _ text: String = "parts") async throws {
            self.world = world
            self.key = try AccessWorld.key(text)
            self.id = try await world.access.openUpload(
                of: self.key, in: try AccessWorld.bucket,
                attributes: ObjectAttributes(contentType: "video/mp4"),
                deadline: world.loop.now + .seconds(20))
        }

        @discardableResult
        func put(_ number: Int, _ bytes: [UInt8]) async throws -> StoredPart {
            try await self.world.access.putPart(
                try #require(PartNumber(number)), of: self.id, of: self.key, in: try self.bucket,
                BytesSource(bytes), stated: StatedBody(), on: self.world.loop,
                deadline: self.deadline)
        }

        func complete(
            _ numbers: [Int]? = nil, before: @Sendable () throws -> Void = {}
        ) async throws -> CompletedObject {
            let tag = try #require(EntityTag("whole"))
            let outcome = try await self.world.access.completeUpload(
                self.id, of: self.key, in: try self.bucket, deadline: self.deadline
            ) { (contents: UploadContents) -> Result<UploadCompletion, NoRefusal> in
                do { try before() } catch { return .failure(.refused) }
                let chosen =
                    numbers.map { $0.compactMap { PartNumber($0) } }
                    ?? contents.parts.map(\.number)
                return .success(UploadCompletion(parts: chosen, entityTag: tag))
            }
            return try outcome.get()
        }
    }

    @Test func `parts in any order come back as one object`() throws {
        let world = try LongBodyTests.world()
        world.run {
            let upload = try await Session(world)
            let parts = [someBytes(50_000, seed: 1), someBytes(70_001, seed: 2), someBytes(3)]
            for number in [3, 1, 2] {
                let stored = try await upload.put(number, parts[number - 1])
                #expect(stored.entityTag.text == Hex.encode(MD5.hash(parts[number - 1])))
                #expect(stored.sizeBytes == UInt64(parts[number - 1].count))
            }
            let completed = try await upload.complete()
            #expect(completed.sizeBytes == 120_004)
            #expect(try await world.get("parts") == Array(parts.joined()))
            #expect(try await world.get("parts", 49_999..<120_003).count == 70_004)
            let head = try await world.access.head(
                upload.key, in: try upload.bucket, deadline: upload.deadline)
            #expect(head.attributes.contentType == "video/mp4")
            #expect(try await upload.complete() == completed)
        }
    }

    @Test func `a part of more chunks than a row may name is read like any other`() throws {
        let world = try LongBodyTests.world()
        world.run {
            let upload = try await Session(world)
            let parts = [
                someBytes(100, seed: 1), someBytes(LongBodyTests.rowBytes * 2 + 7, seed: 2),
                someBytes(50_000, seed: 3),
            ]
            for (place, part) in parts.enumerated() { try await upload.put(place + 1, part) }
            // The first of a number is forgotten, whatever it was made of.
            try await upload.put(2, someBytes(LongBodyTests.rowBytes + 9, seed: 4))
            try await upload.put(2, parts[1])
            let completed = try await upload.complete()
            let whole = Array(parts.joined())
            #expect(completed.sizeBytes == UInt64(whole.count))
            #expect(try await world.get("parts") == whole)
            for start in [99, 100, LongBodyTests.rowBytes + 50, whole.count - 50_002] {
                let range = UInt64(start)..<UInt64(start + 40_000)
                let part = try await world.get("parts", range)
                #expect(part == Array(whole[start..<start + 40_000]))
            }
        }
    }

    @Test func `parts that are left out are not part of the object`() throws {
        let world = try LongBodyTests.world()
        world.run {
            let upload = try await Session(world)
            for number in 1...5 {
                try await upload.put(number, someBytes(30_000, seed: UInt64(number)))
            }
            let expected = [1, 3, 5].flatMap { someBytes(30_000, seed: UInt64($0)) }
            _ = try await upload.complete([1, 3, 5])
            #expect(try await world.get("parts") == expected)
            try world.cluster.group.sweep()
            #expect(try await world.get("parts") == expected)
        }
    }

    @Test func `a part that comes while completing is under way is seen by a second look`() throws {
        let world = try LongBodyTests.world()
        world.run {
            let upload = try await Session(world)
            try await upload.put(1, someBytes(10))
            let looks = Counting()
            let completed = try await upload.complete(before: {
                guard looks.next() == 1 else { return }
                let number = try #require(PartNumber(2))
                let head = try world.cluster.group.answer(.bucket(try AccessWorld.bucket))
                guard case .bucket(let bucket) = head else { return }
                try world.cluster.group.send(
                    .putPart(
                        PutPart(
                            upload: UploadName(bucket: bucket.name, id: upload.id),
                            number: number, size: 0, entityTag: try #require(EntityTag("t")),
                            source: .content(
                                ObjectContent(
                                    .chunks([]), placedBy: .none, sealedFor: bucket.version)))))
            })
            #expect(looks.count == 2)
            #expect(completed.sizeBytes == 10)
        }
    }

    @Test func `listings show uploads and parts, and an aborted upload is gone`() throws {
        let world = try LongBodyTests.world()
        world.run {
            let upload = try await Session(world)
            for number in [2, 7, 9] { try await upload.put(number, someBytes(100 * number)) }
            let bucket = try upload.bucket
            let uploads = try await world.access.listUploads(
                ListUploads(bucket: bucket), deadline: upload.deadline)
            #expect(uploads.uploads.map(\.id) == [upload.id])
            let first = try await world.access.listParts(
                of: upload.id, in: bucket, limit: 2, deadline: upload.deadline)
            #expect(first.isTruncated)
            #expect(first.parts.map(\.size) == [200, 700])
            let rest = try await world.access.listParts(
                of: upload.id, in: bucket, after: first.parts.last?.number,
                deadline: upload.deadline)
            #expect(rest.parts.map(\.number) == [PartNumber(9)])
            #expect(!rest.isTruncated)
            await #expect(throws: AccessFault.noSuchUpload) {
                try await world.access.abortUpload(
                    upload.id, of: try AccessWorld.key("other"), in: bucket,
                    deadline: upload.deadline)
            }
            try await world.access.abortUpload(
                upload.id, of: upload.key, in: bucket, deadline: upload.deadline)
            await #expect(throws: AccessFault.noSuchUpload) { try await upload.put(1, [1]) }
            await #expect(throws: AccessFault.noSuchUpload) { _ = try await upload.complete() }
            try world.cluster.group.sweep()
            for operation in world.cluster.operations {
                guard case .putPart(let put) = operation, case .content(let content) = put.source,
                    case .chunks(let chunks) = content.manifest
                else { continue }
                for chunk in chunks {
                    #expect(try world.cluster.group.references(to: chunk.name) == 0)
                }
            }
        }
    }
}

/// Counts calls. `@unchecked Sendable`: touched on the simulator's thread only.
final class Counting: @unchecked Sendable {
    private(set) var count = 0
    func next() -> Int {
        self.count += 1
        return self.count
    }
}
