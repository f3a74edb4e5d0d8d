import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives

extension FileClient {
    /// Takes pieces of an object in their order; false when it wants no more.
    typealias PieceSink = ([UInt8], _ offset: UInt64) async throws(FileClientFault) -> Bool

    /// Reads a range of one version of an object, at most a piece in memory at a time. When an edge
    /// fails in the middle, the next one goes on where it stopped. Checks nothing: see
    /// `ContentCheck`.
    func read(
        _ range: Range<UInt64>, of object: ObjectFacts, into sink: PieceSink
    ) async throws(FileClientFault) {
        var attempts = self.attempts()
        var position = range.lowerBound
        while position < range.upperBound {
            var request = EdgeRequest(.get, object.path)
            request.fields = [
                ("range", "bytes=\(position)-\(range.upperBound - 1)"), ("if-match", object.etag),
            ]
            request.acceptedRefusals = [.preconditionFailed, .rangeNotSatisfiable, .notFound]
            let response = try await self.send(request, &attempts)
            try Self.confirm(response.head, begins: position, object.path)
            let before = position
            var fault: HTTPClientFault?
            while position < range.upperBound {
                let bytes: [UInt8]
                do throws(HTTPClientFault) {
                    bytes = try await response.read(upTo: TransferBounds.readBytes)
                    if bytes.isEmpty { throw .responseTruncated }
                } catch {
                    fault = error
                    break
                }
                guard try await sink(bytes, position) else { return response.close() }
                position += UInt64(bytes.count)
            }
            guard let fault else { continue }
            let failure = try Self.failure(of: fault, request, self.options.edges[attempts.edge])
            if position > before { attempts.progressed() }
            try await self.prepareNext(
                &attempts, after: failure, subject: object.path.description)
        }
    }

    private static func confirm(
        _ head: ResponseHead, begins position: UInt64, _ path: RemotePath
    ) throws(FileClientFault) {
        guard head.status == .partialContent else { throw .changedWhileRead(path) }
        guard let range = head.fields.first("content-range").flatMap(ContentRange.init),
            case .bytes(let bytes, _) = range, bytes.lowerBound == position
        else { throw .malformedAnswer(subject: path.description) }
    }

    /// Gives an object's bytes to `write` as they come, and fails at the end when they were not
    /// those that the object's checksum says. `write` returns false when nobody takes them any more;
    /// then so does this.
    package func stream(
        _ path: RemotePath, to write: ([UInt8]) async -> Bool
    ) async throws(FileClientFault) -> Bool {
        guard let object = try await self.facts(path) else { throw .nothingThere(path) }
        var check = object.check
        var isTaken = true
        try await self.read(0..<object.sizeBytes, of: object) {
            (bytes, _) async throws(FileClientFault) -> Bool in
            check = check.updated(with: bytes)
            isTaken = await write(bytes)
            return isTaken
        }
        guard isTaken else { return false }
        if let mismatch = check.mismatch {
            throw .corrupted(
                subject: path.description, expected: mismatch.expected, received: mismatch.received)
        }
        return true
    }
}
