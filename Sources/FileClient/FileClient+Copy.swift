import HTTPSyntax
import IORuntime
import Primitives

extension FileClient {
    /// Copies the object of the key `source.key`, and all objects in the folder of that name, inside
    /// the cluster: no byte passes this machine. With `removing` each source is removed once its
    /// copy stands, and only if it is still the version that was copied.
    ///
    /// An object that cannot be copied is reported and counted, and the others go on.
    package func copy(
        _ plan: CopyPlan, removing: Bool, filter: PathFilter = .all, progress: TransferProgress,
        report: @escaping @Sendable (TransferEvent) -> Void
    ) async throws(FileClientFault) {
        let source = plan.source
        let stop = TransferStop()
        let copy: @Sendable (ListedObject) async -> Void = { object in
            do throws(FileClientFault) {
                try await self.slots.holding { () async throws(FileClientFault) in
                    try await self.copy(object, by: plan, removing: removing)
                }
                progress.moved(Int(object.sizeBytes))
                progress.finished()
            } catch {
                progress.failed(bytes: object.sizeBytes)
                if error.befallsAll { stop.end(with: error) } else { report(.failed(error)) }
            }
        }
        try await self.ensureBucket(plan.destination.bucket)
        var foundAny = false
        if !source.isBucket, !source.isFolder, let object = try await self.head(source) {
            foundAny = true
            if filter.wants(CopyPlan.filteredName(of: object.key, below: source)) {
                progress.found(files: 1, bytes: object.sizeBytes)
                await copy(object)
            }
        }
        var token: String?
        repeat {
            let page = try await self.list(source.with(key: source.folderPrefix), after: token)
            token = page.next
            if !page.objects.isEmpty, plan.isIntoItself {
                throw .copyIntoItself(source, into: plan.destination)
            }
            foundAny = foundAny || !page.objects.isEmpty
            let wanted = page.objects.filter {
                filter.wants(CopyPlan.filteredName(of: $0.key, below: source))
            }
            progress.found(files: wanted.count, bytes: wanted.reduce(0) { $0 + $1.sizeBytes })
            if token == nil { progress.foundAll() }
            await self.inParallel(wanted, until: stop, copy)
            if let fault = stop.fault { throw fault }
        } while token != nil
        if !foundAny, !source.isBucket { throw .nothingThere(source) }
    }

    private func copy(
        _ object: ListedObject, by plan: CopyPlan, removing: Bool
    ) async throws(FileClientFault) {
        let source = plan.source.with(key: object.key)
        guard let target = plan.place(of: object.key) else { throw .nothingThere(source) }
        guard target.key.utf8.count <= RemotePath.keyLimitBytes else { throw .keyTooLong(target) }
        guard target != source else { throw .copyOntoItself(source) }
        // Inside a bucket a copy shares the bytes, whatever their number.
        if source.bucket == target.bucket || object.sizeBytes <= CopyBounds.wholeLimitBytes {
            var request = EdgeRequest(.put, target)
            request.fields = Self.copyFields(source, etag: object.etag)
            request.subject = source.description
            _ = try await self.expectingSameVersion(of: source, request)
        } else {
            try await self.copyInParts(source, etag: object.etag, to: target)
        }
        guard removing else { return }
        var remove = EdgeRequest(.delete, source)
        remove.fields = [("if-match", object.etag)]
        // Removed by somebody else: then it is where it should be.
        remove.acceptedRefusals = [.notFound]
        _ = try await self.expectingSameVersion(of: source, remove)
    }

    /// Copies an object between buckets, where its bytes are read, sealed anew and stored: in parts,
    /// so that no single request takes long.
    private func copyInParts(
        _ source: RemotePath, etag: String, to target: RemotePath
    ) async throws(FileClientFault) {
        guard let facts = try await self.facts(source) else { throw .nothingThere(source) }
        guard facts.etag == etag else { throw .changedWhileRead(source) }
        let plan = PartPlan(sizeBytes: facts.sizeBytes, wanted: CopyBounds.partBytes)
        let ownField = "\(PartPlan.metadataField)"
        let fields =
            facts.fields.filter { $0.name != ownField }
            + (facts.contentType.map { [("content-type", $0)] } ?? [])
        let upload = try await self.openUpload(
            of: target, partBytes: plan.partBytes, fields: fields)
        do throws(FileClientFault) {
            var parts: [UploadedPart] = []
            for index in 0..<plan.partCount {
                let range = plan.range(index)
                var request = EdgeRequest(
                    .put, target, query: [("partNumber", "\(index + 1)"), ("uploadId", upload)])
                request.subject = source.description
                request.fields =
                    Self.copyFields(source, etag: etag) + [
                        (
                            "x-amz-copy-source-range",
                            "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
                        )
                    ]
                let answer = try await self.expectingSameVersion(of: source, request)
                guard let tag = Self.document(answer)?.first("ETag")?.text else {
                    throw .malformedAnswer(subject: source.description)
                }
                parts.append(
                    UploadedPart(
                        number: index + 1, etag: tag,
                        sizeBytes: range.upperBound - range.lowerBound, sha256: ""))
            }
            try await self.completeUpload(upload, of: target, parts: parts, checksum: nil)
        } catch {
            do throws(FileClientFault) { try await self.abortUpload(upload, of: target) } catch {
                // The copy has failed already; the store gives up by itself what is left of it.
            }
            throw error
        }
    }

    private static func copyFields(
        _ source: RemotePath, etag: String
    ) -> [(name: String, value: String)] {
        let path = PercentCoding.encode("/\(source)".utf8, keepingSlashes: true)
        return [
            ("x-amz-copy-source", String(decoding: path, as: UTF8.self)),
            ("x-amz-copy-source-if-match", etag),
        ]
    }

    private func expectingSameVersion(
        of source: RemotePath, _ request: EdgeRequest
    ) async throws(FileClientFault) -> [UInt8] {
        do throws(FileClientFault) { return try await self.fetch(request).body } catch {
            if case .refused(let refusal, _) = error, refusal.status == 412 {
                throw .changedWhileRead(source)
            }
            throw error
        }
    }
}

private enum CopyBounds {
    /// Up to this size an object is copied between buckets by one request.
    static let wholeLimitBytes: UInt64 = 64 << 20
    static let partBytes: UInt64 = 64 << 20
}
