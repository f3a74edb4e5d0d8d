import Cryptography
import HTTPSyntax
import HTTPTransport
import Primitives
import Signing

/// Small objects that lie in memory whole, under the same checks as files.
extension FileClient {
    /// The reason of a refusal is read even where only a smaller object is wanted.
    private static let refusalLimitBytes = 65_536

    /// Puts an object. Returns when an edge has confirmed it; on a fault whether it was stored is
    /// unknown, unless an edge has refused it.
    package func put(bytes: [UInt8], as object: RemotePath) async throws(FileClientFault) {
        var request = EdgeRequest(.put, object)
        let hash = SHA256.hash(bytes)
        request.payload = .hash(hash)
        var attempts = self.attempts()
        let response = try await self.send(
            request, &attempts, bodyBytes: UInt64(bytes.count)
        ) { .bytes(bytes) }
        try await Self.confirm(response, hash: hash, md5: MD5.hash(bytes), object)
    }

    /// The whole object; nil when there is none of that key. One that has more than `limit` bytes is
    /// a fault.
    package func bytes(
        of object: RemotePath, limit: Int
    ) async throws(FileClientFault) -> [UInt8]? {
        var request = EdgeRequest(.get, object)
        request.acceptedRefusals = [.notFound]
        var answers = 0
        while true {
            answers += 1
            let answer = try await self.fetch(
                request, limitBytes: max(limit, Self.refusalLimitBytes))
            if answer.head.status == .notFound {
                let refusal = EdgeRefusal(status: .notFound, body: answer.body)
                guard refusal.code == "NoSuchKey" else {
                    throw .refused(refusal, subject: object.description)
                }
                return nil
            }
            guard answer.body.count <= limit else {
                throw .answerTooLarge(subject: object.description, limitBytes: limit)
            }
            let check = ContentCheck(announcedBy: answer.head.fields).updated(with: answer.body)
            guard let mismatch = check.mismatch else { return answer.body }
            guard answers < TransferBounds.mostCorruptedAnswers else {
                throw .corrupted(
                    subject: object.description, expected: mismatch.expected,
                    received: mismatch.received)
            }
        }
    }
}
