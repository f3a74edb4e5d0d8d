import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives

extension S3Door {
    func copyObject(to target: ObjectName, _ asked: Asked) async throws(S3Refusal) {
        let copy = try CopyRequest(asked.fields, to: target)
        if copy.source.bucket != target.bucket {
            try await self.authorise(asked.requester.owner, in: copy.source.bucket, asked.exchange)
        }
        let outcome = try await refusing { () throws(AccessFault) in
            try await self.access.copy(
                copy.source, to: target, copy.options, on: asked.exchange.loop,
                deadline: asked.deadline, check: copy.refusal(of:))
        }
        let copied = try outcome.get()
        await asked.exchange.respond(xml: Self.document(of: copied))
    }

    func copyPart(
        _ number: PartNumber, of upload: UploadID, of target: ObjectName, _ asked: Asked
    ) async throws(S3Refusal) {
        let copy = try PartCopyRequest(asked.fields)
        if copy.source.bucket != target.bucket {
            try await self.authorise(asked.requester.owner, in: copy.source.bucket, asked.exchange)
        }
        let outcome = try await refusing { () throws(AccessFault) in
            try await self.access.copyPart(
                number, of: upload, of: target, from: copy.source, on: asked.exchange.loop,
                deadline: asked.deadline, choose: copy.range(of:))
        }
        let part = try outcome.get()
        var xml = XMLWriter()
        xml.element("CopyPartResult", namespace: XMLWriter.s3Namespace) {
            $0.element("LastModified", ISOTime.text(part.modified))
            $0.element("ETag", "\"\(part.entityTag)\"")
        }
        await asked.exchange.respond(xml: xml)
    }

    package static func document(of copied: CopiedObject) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("CopyObjectResult", namespace: XMLWriter.s3Namespace) {
            $0.element("LastModified", ISOTime.text(copied.modified))
            $0.element("ETag", "\"\(copied.entityTag)\"")
            $0.checksums(copied.checksums, withType: true)
        }
        return xml
    }
}
