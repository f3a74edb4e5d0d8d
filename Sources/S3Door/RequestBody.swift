import Catalog
import Cryptography
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// The bytes of an object as they come out of a request's body: unwrapped from `aws-chunked`, each
/// chunk held against its signature, the whole against its checksum.
package final class RequestBody: BodySource {
    private let source: any BodySource
    private let form: BodyForm
    private var decoder: AWSChunkedDecoder?
    private var chain: SigV4ChunkChain?
    /// Of the chunk that is being read, where it is signed.
    private var chunkDigest = SHA256Digest()
    private var checksum: BodyChecksum?
    private var input: [UInt8] = []
    private var position = 0
    /// Unwrapped already, and not yet handed out: a part of `input`.
    private var unread = 0..<0
    private var isEnded = false

    /// How much of an `aws-chunked` body is read at a time.
    private static let inputBytes = 64 << 10

    package private(set) var verifiedChecksums: [ObjectChecksum]
    /// Why the body was refused, where that says more than a `BodyFault`.
    package private(set) var refusal: S3Refusal?

    /// - Parameters:
    ///   - source: the body behind the HTTP framing.
    ///   - chain: what signed chunks are held against; it begins with the request's signature.
    package init(_ source: any BodySource, _ form: BodyForm, chain: SigV4ChunkChain?) {
        self.source = source
        self.form = form
        self.verifiedChecksums = form.verifiedElsewhere
        self.checksum = form.checksum.map { BodyChecksum($0.algorithm) }
        if case .chunks(let isSigned) = form.encoding {
            self.decoder = AWSChunkedDecoder()
            invariant(!isSigned || chain != nil, "signed chunks follow a signature that has them")
            self.chain = isSigned ? chain : nil
        }
    }

    package func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = try await self.read(into: &bytes, at: 0..<limit)
        bytes.removeLast(limit - count)
        return bytes
    }

    package func read(
        into bytes: inout [UInt8], at part: Range<Int>
    ) async throws(BodyFault) -> Int {
        if self.isEnded { return 0 }
        guard self.decoder != nil else {
            let count = try await self.source.read(into: &bytes, at: part)
            if count == 0 {
                self.isEnded = true
                try self.finish(trailer: [])
            } else {
                self.checksum?.update(bytes[part.prefix(count)])
            }
            return count
        }
        while true {
            if let run = try self.unwrapped() {
                let taken = run.prefix(part.count)
                self.unread = run.dropFirst(part.count)
                bytes.replaceSubrange(part.prefix(taken.count), with: self.input[taken])
                return taken.count
            }
            self.input = try await self.source.next(upTo: Self.inputBytes)
            self.position = 0
            if self.input.isEmpty {
                try self.inputEnded()
                return 0
            }
        }
    }

    /// Where the next bytes of the object lie in the input; nil when more has to be read to know.
    private func unwrapped() throws(BodyFault) -> Range<Int>? {
        if !self.unread.isEmpty { return self.unread }
        while let event = try self.nextEvent() {
            switch event {
            case .bytes(let range):
                if self.chain != nil { self.chunkDigest.update(self.input[range]) }
                self.checksum?.update(self.input[range])
                return range
            case .chunkEnded(let signature): try self.chunkEnded(signature)
            // The end of the input must follow, and is read before the end is told.
            case .ended(let trailer): try self.finish(trailer: trailer)
            }
        }
        return nil
    }

    private func nextEvent() throws(BodyFault) -> AWSChunkedDecoder.Event? {
        do throws(AWSChunkedDecoder.Malformed) {
            return try self.decoder?.next(self.input, from: &self.position)
        } catch { throw self.refused(error) }
    }

    private func inputEnded() throws(BodyFault) {
        self.isEnded = true
        let event: AWSChunkedDecoder.Event?
        do throws(AWSChunkedDecoder.Malformed) {
            event = try self.decoder?.inputEnded()
        } catch { throw self.refused(error) }
        if case .ended(let trailer) = event { try self.finish(trailer: trailer) }
    }

    private func chunkEnded(_ signature: String?) throws(BodyFault) {
        guard self.chain != nil else { return }
        let hash = self.chunkDigest.finish()
        self.chunkDigest = SHA256Digest()
        let holds = self.chain?.accepts(
            chunkHash: hash, signature: signature ?? "", using: OpenSSLPrimitives())
        guard holds == true else { throw self.refused(S3Refusal(.signatureDoesNotMatch)) }
    }

    private static let trailerSignature = "x-amz-trailer-signature"

    /// Holds the whole body against its checksum, stated before it or behind it.
    private func finish(trailer: [AWSChunkedDecoder.TrailerLine]) throws(BodyFault) {
        try self.checkSignature(of: trailer)
        guard let wanted = self.form.checksum, let checksum = self.checksum else { return }
        let expected: [UInt8]
        if let stated = wanted.expected {
            expected = stated
        } else {
            let name = "x-amz-checksum-\(wanted.algorithm.name)"
            guard let line = trailer.first(where: { $0.name == name }),
                let value = Base64.decode(line.value), value.count == wanted.algorithm.sizeBytes
            else { throw self.refused(S3Refusal(.malformedTrailer)) }
            expected = value
        }
        guard expected == checksum.finish() else { throw self.refused(S3Refusal(.badDigest)) }
        self.verifiedChecksums.append(
            ObjectChecksum(algorithm: wanted.algorithm, value: expected))
        self.checksum = nil
    }

    private func checkSignature(
        of trailer: [AWSChunkedDecoder.TrailerLine]
    ) throws(BodyFault) {
        guard self.chain != nil, !trailer.isEmpty else { return }
        let signed = trailer.filter { $0.name != Self.trailerSignature }
        let text = signed.map { "\($0.name):\($0.value)\n" }.joined()
        let signature = trailer.first { $0.name == Self.trailerSignature }?.value ?? ""
        let holds = self.chain?.accepts(
            trailer: Array(text.utf8), signature: signature, using: OpenSSLPrimitives())
        guard holds == true else { throw self.refused(S3Refusal(.signatureDoesNotMatch)) }
    }

    private func refused(_ fault: AWSChunkedDecoder.Malformed) -> BodyFault {
        switch fault {
        case .truncated: .truncated
        case .trailer: self.refused(S3Refusal(.malformedTrailer))
        case .chunkLine, .chunkEnd, .bytesBehindEnd:
            self.refused(S3Refusal(.invalidRequest, "The aws-chunked body is malformed"))
        }
    }

    private func refused(_ refusal: S3Refusal) -> BodyFault {
        self.refusal = refusal
        return .malformed(refusal.code)
    }
}
