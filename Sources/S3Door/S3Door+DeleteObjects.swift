import Catalog
import ObjectAccess
import ObjectExchange
import Primitives

extension S3Door {
    /// A thousand keys of a kilobyte, with what XML and escapes add.
    private static let deleteDocumentLimitBytes = 4 << 20
    /// Deletes of one request that are under way together.
    private static let deletesInFlight = 16

    func deleteObjects(_ bucket: BucketName, _ asked: Asked) async throws(S3Refusal) {
        let body = try await self.collectBody(asked, limitBytes: Self.deleteDocumentLimitBytes)
        let document = try DeleteDocument(body)
        let outcomes = await self.delete(document.items, in: bucket, deadline: asked.deadline)
        var xml = XMLWriter()
        xml.element("DeleteResult", namespace: XMLWriter.s3Namespace) { xml in
            for (item, refusal) in zip(document.items, outcomes) {
                if let refusal {
                    xml.element("Error") { xml in
                        xml.element("Key", item.key)
                        xml.element("Code", refusal.code)
                        xml.element("Message", refusal.message)
                    }
                } else if !document.isQuiet {
                    xml.element("Deleted") { $0.element("Key", item.key) }
                }
            }
        }
        await asked.exchange.respond(xml: xml)
    }

    /// One outcome for each item, in their order; nil: deleted, or there was nothing to delete.
    private func delete(
        _ items: [DeleteDocument.Item], in bucket: BucketName, deadline: Instant
    ) async -> [S3Refusal?] {
        var outcomes = [S3Refusal?](repeating: nil, count: items.count)
        await withTaskGroup(of: (Int, S3Refusal?).self) { group in
            for (position, item) in items.enumerated() {
                if position >= Self.deletesInFlight, let (done, refusal) = await group.next() {
                    outcomes[done] = refusal
                }
                group.addTask {
                    (position, await self.delete(item, in: bucket, deadline: deadline))
                }
            }
            for await (done, refusal) in group { outcomes[done] = refusal }
        }
        return outcomes
    }

    private func delete(
        _ item: DeleteDocument.Item, in bucket: BucketName, deadline: Instant
    ) async -> S3Refusal? {
        if item.namesOtherVersion { return S3Refusal(.noSuchVersion) }
        guard let key = item.object else { return S3Refusal(.keyTooLong) }
        do throws(AccessFault) {
            try await self.access.delete(
                key, in: bucket, precondition: item.precondition, deadline: deadline)
            return nil
        } catch {
            return S3Refusal(of: error)
        }
    }
}
