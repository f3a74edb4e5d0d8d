import Cryptography
import Primitives
import Signing
import Testing

@Suite struct LinkFuzzTests {
    @Test func `any changed character of a link makes it false`() throws {
        let maker = try LinkMaker()
        var policy = LinkMaker.policy()
        policy.network = IPNetwork("10.0.0.0/8")
        policy.version = [1, 2, 3]
        let link = try #require(maker.signer.link(for: policy))
        let query = Array(link.query.utf8)
        for position in query.indices {
            for flip: UInt8 in [1, 2, 4, 0x20] {
                var changed = query
                changed[position] ^= flip
                do throws(LinkRefusal) {
                    guard let read = try Link.read(rawQuery: changed) else { continue }
                    #expect(!maker.isAuthentic(read), "flip \(flip) at \(position)")
                } catch { #expect(error == .malformed) }
            }
        }
    }

    @Test func `a signature with S plus the group's order is refused before it is verified`() throws
    {
        let maker = try LinkMaker()
        let link = try #require(maker.signer.link(for: LinkMaker.policy()))
        let order: [UInt8] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ]
        var signature = link.signature
        var carry = 0
        for position in order.indices {
            carry += Int(signature[32 + position]) + Int(order[position])
            signature[32 + position] = UInt8(carry & 255)
            carry >>= 8
        }
        let text = Base64.encodeForURL(signature)
        let own = Base64.encodeForURL(link.signature)
        let read = try Link.read(rawQuery: Array(link.query.replacing(own, with: text).utf8))
        let forged = try #require(read)
        #expect(!forged.isAuthentic { _, _ in true })
        #expect(link.isAuthentic { _, _ in true })
    }

    @Test func `no bytes trap the policy's parser, and what it reads it writes again`() {
        var random = SeededGenerator(seed: 11)
        var policy = LinkMaker.policy()
        policy.network = IPNetwork("2001:db8::/32")
        policy.bodyLimitBytes = 7
        policy.version = [1]
        let good = policy.encoded()
        for round in 0..<6_000 {
            var bytes = good
            if round % 3 == 0 {
                bytes = (0..<Int.random(in: 0..<120, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            } else {
                SigV4FuzzTests.mutate(&bytes, using: &random)
            }
            do throws(FormatFault) {
                #expect(try LinkPolicy(decoding: bytes).encoded() == bytes)
            } catch { continue }
        }
    }

    @Test func `no text traps the parsers of queries and addresses`() {
        var random = SeededGenerator(seed: 12)
        let seeds = [
            "2001:db8::1", "::ffff:10.0.0.1", "10.0.0.0/8", "::/0", "1:2:3:4:5:6:7:8",
            "hf-policy=AQ&hf-signature=AA",
        ]
        for round in 0..<6_000 {
            var bytes = Array(seeds[round % seeds.count].utf8)
            SigV4FuzzTests.mutate(&bytes, using: &random)
            let text = String(decoding: bytes, as: UTF8.self)
            if let network = IPNetwork(text) { #expect(network.contains(network.address)) }
            do throws(LinkRefusal) { #expect(try Link.read(rawQuery: bytes) == nil) } catch {
                #expect(error == .malformed)
            }
        }
    }

    @Test(arguments: [
        "10.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "fe80::1:2",
        "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "64:ff9b::1.2.3.4",
    ])
    func `addresses are read`(text: String) { #expect(IPAddress(text) != nil) }

    @Test(arguments: [
        "", "10.0.0", "10.0.0.256", "10.0.0.01", "1.2.3.4.5", ":", ":::", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "fe80::1%eth0", "1:2:3:4:5:6:7:8::", "+1.2.3.4",
        "10.0.0.1/24", "g::",
    ])
    func `what is no address is not`(text: String) { #expect(IPAddress(text) == nil) }

    @Test(arguments: ["10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/-1", "10.0.0.0/", "::1/64", "::/129"])
    func `what is no network is not`(text: String) { #expect(IPNetwork(text) == nil) }
}
