import Catalog
import ObjectAccess
import Primitives
import SimulatedRuntime

extension SimulatedClient {
    package func copy(
        _ source: ObjectKey, to target: ObjectKey, through machine: SimulatedNode
    ) async -> Answer<CopiedObject> {
        await self.ask(machine) { access, loop, deadline throws(AccessFault) in
            let outcome = try await access.copy(
                ObjectName(bucket: self.bucket, key: source),
                to: ObjectName(bucket: self.bucket, key: target), CopyOptions(), on: loop,
                deadline: deadline
            ) { _ -> Never? in nil }
            switch outcome {
            case .success(let copied): return copied
            }
        }
    }
}

/// Uploads in parts, each request through any node.
extension SimulatedClient {
    package func openUpload(
        of key: ObjectKey, through machine: SimulatedNode
    ) async -> Answer<UploadID> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            try await access.openUpload(
                of: key, in: self.bucket, attributes: ObjectAttributes(), deadline: deadline)
        }
    }

    package func putPart(
        _ number: PartNumber, of upload: UploadID, of key: ObjectKey, _ body: [UInt8],
        through machine: SimulatedNode
    ) async -> Answer<StoredPart> {
        await self.ask(machine) { access, loop, deadline throws(AccessFault) in
            var stated = StatedBody()
            stated.sizeBytes = UInt64(body.count)
            return try await access.putPart(
                number, of: upload, of: key, in: self.bucket, BytesSource(body), stated: stated,
                on: loop, deadline: deadline)
        }
    }

    /// Makes an object of all parts that have come.
    package func completeUpload(
        _ upload: UploadID, of key: ObjectKey, tag: EntityTag, through machine: SimulatedNode
    ) async -> Answer<CompletedObject> {
        await self.ask(machine) { access, _, deadline throws(AccessFault) in
            let outcome = try await access.completeUpload(
                upload, of: key, in: self.bucket, deadline: deadline
            ) { contents -> Result<UploadCompletion, Never> in
                .success(
                    UploadCompletion(parts: contents.parts.map(\.number), entityTag: tag))
            }
            switch outcome {
            case .success(let object): return object
            }
        }
    }
}
