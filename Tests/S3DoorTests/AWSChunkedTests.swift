import Catalog
import Cryptography
import ObjectAccess
import ObjectExchange
import Primitives
import S3Door
import Signing
import Testing

@Suite struct AWSChunkedTests {
    /// The seed of the published example ("Transferring Payload in Multiple Chunks", Amazon S3 API
    /// Reference): 66,560 times the byte `a` in chunks of 65,536, 1,024 and 0 bytes.
    private static let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]

    /// The acceptance of the example's head, through the same calls that the door makes.
    private static func chain() throws -> SigV4ChunkChain {
        let request = SignableRequest(
            method: "PUT", target: "/examplebucket/chunkObject.txt",
            headers: [
                .init("host", "s3.amazonaws.com"), .init("x-amz-date", "20130524T000000Z"),
                .init("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                .init("content-encoding", "aws-chunked"),
                .init("x-amz-decoded-content-length", "66560"),
                .init("content-length", "66824"),
                .init("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                .init(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                        + "aws4_request,SignedHeaders=content-encoding;content-length;host;"
                        + "x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
                        + "x-amz-storage-class,Signature="
                        + "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
            ])
        let claim = try #require(try SigV4Claim.read(request, rules: SigV4Rules()))
        let key = SigV4SigningKey(
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope: claim.scope,
            using: OpenSSLPrimitives())
        let verdict = claim.verdict(
            on: request, key: key, now: claim.time, rules: SigV4Rules(),
            using: OpenSSLPrimitives())
        guard case .accepted(let acceptance) = verdict else {
            throw S3Refusal(.signatureDoesNotMatch)
        }
        return SigV4ChunkChain(acceptance, key: key)
    }

    private static func signedBody(_ signatures: [String] = Self.signatures) -> [UInt8] {
        let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 66_560)
        return Array("10000;chunk-signature=\(signatures[0])\r\n".utf8) + letters[..<65_536]
            + Array("\r\n400;chunk-signature=\(signatures[1])\r\n".utf8) + letters[65_536...]
            + Array("\r\n0;chunk-signature=\(signatures[2])\r\n\r\n".utf8)
    }

    private static let signed: BodyForm = {
        var form = BodyForm()
        form.encoding = .chunks(isSigned: true)
        return form
    }()

    private static func unsigned(_ algorithm: ChecksumAlgorithm?) -> BodyForm {
        var form = BodyForm()
        form.encoding = .chunks(isSigned: false)
        form.checksum = algorithm.map { .init(algorithm: $0, expected: nil) }
        return form
    }

    private struct Reading: Equatable {
        var bytes: [UInt8] = []
        var refusal: String?
        var fault: BodyFault?
        var checksums: [ObjectChecksum] = []
    }

    /// Reads a body to its end, `step` bytes of the wire at a time.
    private static func read(
        _ wire: [UInt8], _ form: BodyForm, step: Int = 65_536
    ) async throws -> Reading {
        let body = RequestBody(BytesSource(wire), form, chain: try Self.chain())
        var reading = Reading()
        do throws(BodyFault) {
            while true {
                let bytes = try await body.next(upTo: step)
                if bytes.isEmpty { break }
                reading.bytes += bytes
            }
            reading.checksums = body.verifiedChecksums
        } catch {
            reading.fault = error
            reading.refusal = body.refusal?.code
        }
        return reading
    }

    @Test(arguments: [66_824, 4_096, 1_000])
    func `the published chunks are taken, however they arrive`(step: Int) async throws {
        let reading = try await Self.read(Self.signedBody(), Self.signed, step: step)
        #expect(reading.fault == nil)
        #expect(reading.bytes == [UInt8](repeating: UInt8(ascii: "a"), count: 66_560))
    }

    @Test func `a byte that differs from what was signed refuses the body`() async throws {
        var wire = Self.signedBody()
        wire[40_000] = UInt8(ascii: "b")
        let reading = try await Self.read(wire, Self.signed)
        #expect(reading.refusal == "SignatureDoesNotMatch")
    }

    @Test func `the end of the body is signed too`() async throws {
        let forged = Array(Self.signatures.dropLast()) + [Self.signatures[1]]
        let reading = try await Self.read(Self.signedBody(forged), Self.signed)
        #expect(reading.refusal == "SignatureDoesNotMatch")
    }

    /// What botocore 1.43 sends for `hello world`.
    private static let botocore = Array(
        "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n".utf8)

    @Test(arguments: [1, 3, 100])
    func `the trailer's checksum is verified and kept`(step: Int) async throws {
        let reading = try await Self.read(Self.botocore, Self.unsigned(.crc32), step: step)
        #expect(reading.fault == nil)
        #expect(reading.bytes == Array("hello world".utf8))
        #expect(
            reading.checksums == [
                ObjectChecksum(algorithm: .crc32, value: [0x0d, 0x4a, 0x11, 0x85])
            ])
    }

    @Test(arguments: [
        ("b\r\nhello worlD\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", "BadDigest"),
        ("b\r\nhello world\r\n0\r\n\r\n", "MalformedTrailerError"),
        ("b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:!\r\n\r\n", "MalformedTrailerError"),
        ("b\r\nhello world\r\n0\r\nnonsense\r\n\r\n", "MalformedTrailerError"),
        ("b\r\nhello worldX\r\n0\r\n\r\n", "InvalidRequest"),
        ("zz\r\nhello world\r\n0\r\n\r\n", "InvalidRequest"),
        ("\r\nhello world\r\n0\r\n\r\n", "InvalidRequest"),
        (
            "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\nmore", "InvalidRequest"
        ),
    ])
    func `a body that does not hold together is refused`(
        text: String, expected: String
    ) async throws {
        let reading = try await Self.read(Array(text.utf8), Self.unsigned(.crc32))
        #expect(reading.refusal == expected)
    }

    @Test func `a body cut anywhere before its trailer's end is never taken`() async throws {
        for length in 0..<(Self.botocore.count - 2) {
            let reading = try await Self.read(
                Array(Self.botocore[..<length]), Self.unsigned(.crc32))
            #expect(reading.fault != nil, "cut at \(length)")
        }
    }

    @Test func `the last empty line may be missing`() async throws {
        let reading = try await Self.read(Array(Self.botocore.dropLast(2)), Self.unsigned(.crc32))
        #expect(reading.fault == nil && reading.checksums.count == 1)
    }

    @Test func `mutated bodies are read or refused, and never as other bytes`() async throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<3_000 {
            var wire = Self.botocore
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<wire.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: wire[place] = UInt8.random(in: 0...255, using: &random)
                case 1: wire.remove(at: place)
                default: wire.insert(UInt8.random(in: 0...255, using: &random), at: place)
                }
            }
            let reading = try await Self.read(wire, Self.unsigned(.crc32), step: 7)
            if reading.fault == nil, let kept = reading.checksums.first {
                #expect(kept.value == BodyChecksum.of(reading.bytes, .crc32))
            }
        }
    }

    @Test(arguments: [
        (ChecksumAlgorithm.crc32, "hello world", "DUoRhQ=="),
        (.crc32c, "hello world", "yZRlqg=="),
        (.crc64nvme, "hello world", "jSnVw/bqjr4="),
        (.sha1, "hello world", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        (.sha256, "hello world", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
        (.crc32, "123456789", "y/Q5Jg=="),
        (.crc32c, "123456789", "4waSgw=="),
        (.crc64nvme, "123456789", "rosUhgp5mIg="),
    ])
    func `checksums are those of the published examples`(
        algorithm: ChecksumAlgorithm, text: String, expected: String
    ) {
        #expect(Base64.encode(BodyChecksum.of(Array(text.utf8), algorithm)) == expected)
        var pieces = BodyChecksum(algorithm)
        for byte in text.utf8 { pieces.update([byte]) }
        #expect(Base64.encode(pieces.finish()) == expected)
        #expect(pieces.finish().count == algorithm.sizeBytes)
    }
}
