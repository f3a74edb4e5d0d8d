import Cryptography
import Primitives
import Signing
import Testing

@Suite struct SigV4FuzzTests {
    @Test func `any changed byte of what was signed is seen`() throws {
        var request = Example.request(
            "PUT", "/bucket/a%20key?partNumber=2&uploadId=AbC",
            [("host", "127.0.0.1:9000"), ("content-type", "text/plain"), ("x-amz-meta-a", "b c")])
        Example.signer.sign(
            &request, payload: .hash(SHA256.hash(Array("body".utf8))), at: Example.now)
        #expect(Example.refusal(of: request) == nil)
        for position in request.rawPath.indices {
            var changed = request
            changed.rawPath[position] ^= 1
            #expect(Example.refusal(of: changed) != nil)
        }
        for position in request.rawQuery.indices {
            var changed = request
            changed.rawQuery[position] ^= 1
            #expect(Example.refusal(of: changed) != nil)
        }
        for (index, header) in request.headers.enumerated() {
            for position in header.value.indices {
                var value = header.value
                value[position] ^= 1
                var changed = request
                changed.headers[index] = .init(header.name, value)
                // Another key id is another claim: its signing key would be another.
                let claim: SigV4Claim?
                do throws(SigV4Refusal) {
                    claim = try SigV4Claim.read(changed, rules: SigV4Rules())
                } catch { continue }
                guard let claim, claim.accessKey == Example.accessKey, claim.scope == Example.scope
                else { continue }
                #expect(Example.refusal(of: changed) != nil, "\(header.name) at \(position)")
            }
        }
        var method = request
        method.method = "GET"
        #expect(Example.refusal(of: method) != nil)
    }

    @Test func `any changed byte of a presigned URL is seen`() {
        var request = Example.request("GET", "/b/k", [("host", "h")])
        Example.signer.presign(&request, expiresSeconds: 600, at: Example.now)
        let text = Array(request.target.utf8)
        let credential = Array(Example.accessKey.utf8)
        let keyAt = text.indices.first { text[$0...].starts(with: credential) }
        for position in text.indices.dropFirst() {
            if let keyAt, (keyAt..<keyAt + credential.count).contains(position) { continue }
            var changed = text
            changed[position] ^= 1
            let mutated = SignableRequest(
                method: "GET", target: String(decoding: changed, as: UTF8.self),
                headers: request.headers)
            if case .accepted = Example.judge(mutated) {
                Issue.record("accepted \(mutated.target)")
            }
        }
    }

    @Test func `no input traps the parsers`() {
        var random = SeededGenerator(seed: 4)
        let seeds = SigV4Vectors.headers.map { Array($0.authorization.utf8) }
        for _ in 0..<4_000 {
            var header = seeds[Int.random(in: seeds.indices, using: &random)]
            Self.mutate(&header, using: &random)
            var target = Array(SigV4Vectors.presigned[1].target.utf8)
            Self.mutate(&target, using: &random)
            let request = Example.request("GET", "/b/k", [("host", "h")])
            var inHeader = request
            inHeader.headers.append(.init("authorization", header))
            inHeader.headers.append(.init("x-amz-date", header))
            var inQuery = request
            inQuery.rawQuery = target
            inQuery.rawPath = header
            for request in [inHeader, inQuery] {
                if case .accepted = Example.judge(request) { Issue.record("accepted noise") }
            }
        }
    }

    static func mutate(_ bytes: inout [UInt8], using random: inout SeededGenerator) {
        for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
            let position = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: position)
            case 2: bytes.insert(Array(",;=%/&".utf8)[position % 6], at: position)
            case _: bytes.removeSubrange(position...)
            }
        }
    }
}
