import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

extension S3Door {
    func giveObject(
        _ key: ObjectKey, in bucket: BucketName, _ asked: Asked
    ) async throws(S3Refusal) {
        try Self.refuseCustomerKeys(asked.fields)
        var answer = ObjectAnswer()
        answer.overrides = try Self.overrides(asked.query)
        if asked.query.contains("partNumber") { answer.part = try asked.query.partNumber() }
        answer.tellsChecksums =
            asked.fields.text("x-amz-checksum-mode")?.uppercased() == "ENABLED"
        try await answer.give(key, in: bucket, of: self.access, to: asked.exchange)
    }

    /// The fields that a signed request may ask to be answered with in place of stored ones.
    private static let overridable: [(parameter: String, field: String)] = [
        ("response-cache-control", "cache-control"),
        ("response-content-disposition", "content-disposition"),
        ("response-content-encoding", "content-encoding"),
        ("response-content-language", "content-language"),
        ("response-content-type", "content-type"),
        ("response-expires", "expires"),
    ]

    package static func overrides(
        _ query: S3Query
    ) throws(S3Refusal) -> [(name: String, value: String)] {
        guard !query.parameters.isEmpty else { return [] }
        var overrides: [(name: String, value: String)] = []
        for (parameter, field) in self.overridable {
            guard let value = try query.text(parameter) else { continue }
            // A line end in a value would write fields of its own.
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
                throw S3Refusal(.invalidArgument, "\(parameter) is no value of a header")
            }
            overrides.append((field, value))
        }
        return overrides
    }

    /// Objects are always encrypted, by keys of the cluster's own.
    static func refuseCustomerKeys(_ fields: Fields) throws(S3Refusal) {
        for index in 0..<fields.count {
            let name = fields.name(at: index)
            if name.starts(with: "x-amz-server-side-encryption-customer-".utf8) {
                throw S3Refusal(.notImplemented, "Keys of clients are not implemented")
            }
        }
    }

    func putObject(
        _ key: ObjectKey, in bucket: BucketName, _ asked: Asked
    ) async throws(S3Refusal) {
        if asked.fields.contains("x-amz-copy-source") {
            return try await self.copyObject(to: ObjectName(bucket: bucket, key: key), asked)
        }
        let put = try PutRequest(asked.exchange.head, payload: asked.requester.payload)
        let body = asked.body(put.form)
        let stored: StoredObject
        do throws(AccessFault) {
            stored = try await self.access.put(
                key, in: bucket, body, put.options, on: asked.exchange.loop,
                deadline: asked.deadline)
        } catch {
            throw body.refusal ?? put.refusal(of: error)
        }
        var fields = asked.exchange.makeFields()
        if let tag = HTTPSyntax.EntityTag(stored.entityTag.text) { fields.add(etag: tag) }
        fields.addChecked("x-holdfast-sha256", Hex.encode(stored.sha256))
        stored.checksums.add(to: &fields)
        await asked.exchange.respond(.ok, fields)
    }

    func deleteObject(
        _ key: ObjectKey, in bucket: BucketName, _ asked: Asked
    ) async throws(S3Refusal) {
        let precondition = try ObjectPrecondition(asked.fields)
        try await refusing { () throws(AccessFault) in
            try await self.access.delete(
                key, in: bucket, precondition: precondition, deadline: asked.deadline)
        }
        await asked.exchange.respond(.noContent, asked.exchange.makeFields())
    }

    /// The whole of a small body, proven by its signature.
    func collectBody(
        _ asked: Asked, limitBytes: Int, statesChecksum: Bool = true
    ) async throws(S3Refusal) -> [UInt8] {
        let put = try PutRequest(
            asked.exchange.head, payload: asked.requester.payload,
            mayLackLength: true, statesChecksum: statesChecksum)
        let body = asked.body(put.form)
        var collected: [UInt8] = []
        var isOver = false
        do throws(BodyFault) {
            while !isOver {
                let bytes = try await body.next(upTo: 64 << 10)
                if bytes.isEmpty { break }
                collected += bytes
                isOver = collected.count > limitBytes
            }
        } catch { throw body.refusal ?? S3Refusal(of: error) }
        if isOver { throw S3Refusal(.maxMessageLengthExceeded) }
        try put.check(collected)
        return collected
    }
}
