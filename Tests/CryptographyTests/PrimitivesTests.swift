import Cryptography
import Primitives
import Testing

/// Published vectors, and what they leave open.
@Suite struct PrimitivesTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 gives the digests of FIPS 180-4`(message: String, digest: String) {
        #expect(Hex.encode(SHA256.hash(Array(message.utf8))) == digest)
    }

    @Test func `MD5 and SHA-1 give the published digests`() {
        #expect(Hex.encode(MD5.hash(Array("abc".utf8))) == "900150983cd24fb0d6963f7d28e17f72")
        #expect(
            Hex.encode(SHA1.hash(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    }

    @Test func `a digest of pieces is the digest of the whole, and a copy goes its own way`() {
        let message = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var digest = SHA256Digest()
        digest.update(message[..<777])
        var fork = digest
        fork.update([1, 2, 3])
        digest.update(message[777...])
        #expect(digest.finish() == SHA256.hash(message))
        #expect(fork.finish() == SHA256.hash(Array(message[..<777]) + [1, 2, 3]))
        digest.update([9])
        #expect(digest.finish() == SHA256.hash(message + [9]))
    }

    /// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0b, count: 20), "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131),
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func `HMAC-SHA256 gives the values of RFC 4231`(key: [UInt8], message: String, tag: String) {
        #expect(Hex.encode(HMACSHA256.authenticate(Array(message.utf8), key: key)) == tag)
    }

    /// RFC 5869, test cases 1 and 3 (no salt, no info).
    @Test func `HKDF-SHA256 gives the values of RFC 5869`() {
        let secret = [UInt8](repeating: 0x0b, count: 22)
        let first = HKDFSHA256.derive(
            from: secret, salt: Array(0...0x0c), info: Array(0xf0...0xf9), sizeBytes: 42)
        #expect(
            Hex.encode(first)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                + "34007208d5b887185865")
        let third = HKDFSHA256.derive(from: secret, info: [], sizeBytes: 42)
        #expect(
            Hex.encode(third)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                + "9d201395faa4b61a96c8")
    }

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14.
    @Test func `AES-256-GCM gives the published tags`() throws {
        let key = try #require(SymmetricKey(bytes: [UInt8](repeating: 0, count: 32)))
        let nonce = [UInt8](repeating: 0, count: 12)
        #expect(
            Hex.encode(AES256GCM.seal([], key: key, nonce: nonce))
                == "530f8afbc74536b9a963b4f1c4cb738b")
        let sealed = AES256GCM.seal([UInt8](repeating: 0, count: 16), key: key, nonce: nonce)
        #expect(
            Hex.encode(sealed)
                == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    }

    @Test func `a sealed message opens only unchanged, with its nonce and associated bytes`() throws
    {
        let key = try #require(SymmetricKey(bytes: Array(0..<32)))
        let nonce = [UInt8](repeating: 7, count: 12)
        let message = Array("the byte that was stored".utf8)
        let sealed = AES256GCM.seal(message, key: key, nonce: nonce, associated: [1])
        #expect(AES256GCM.open(sealed[...], key: key, nonce: nonce, associated: [1]) == message)
        #expect(AES256GCM.open(sealed[...], key: key, nonce: nonce, associated: [2]) == nil)
        #expect(AES256GCM.open(sealed[...], key: key, nonce: nonce) == nil)
        #expect(AES256GCM.open(sealed.dropLast(), key: key, nonce: nonce, associated: [1]) == nil)
        for position in sealed.indices {
            var changed = sealed
            changed[position] ^= 0x40
            #expect(AES256GCM.open(changed[...], key: key, nonce: nonce, associated: [1]) == nil)
        }
        for count in 0..<16 {
            #expect(AES256GCM.open(sealed[..<count], key: key, nonce: nonce) == nil)
        }
    }

    @Test func `a failed opening leaves zeros in the output`() throws {
        let key = try #require(SymmetricKey(bytes: Array(0..<32)))
        let nonce = [UInt8](repeating: 7, count: 12)
        var sealed = AES256GCM.seal([UInt8](repeating: 9, count: 64), key: key, nonce: nonce)
        sealed[70] ^= 1
        var output = [UInt8](repeating: 0xee, count: 64)
        let isOpen = sealed.withUnsafeBytes { sealed in
            output.withUnsafeMutableBytes {
                AES256GCM.open(sealed, key: key, nonce: nonce, into: $0)
            }
        }
        #expect(!isOpen)
        #expect(output == [UInt8](repeating: 0, count: 64))
    }

    /// RFC 7914 §12, second vector.
    @Test func `scrypt gives the key of RFC 7914`() {
        let key = Scrypt.derive(
            password: Array("password".utf8), salt: Array("NaCl".utf8),
            cost: Scrypt.Cost(costBits: 10, blockSize: 8, parallelism: 16), sizeBytes: 64)
        #expect(
            key.map { Hex.encode($0) }
                == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                + "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640")
    }

    @Test func `a cost over the memory limit is refused, not tried`() {
        let cost = Scrypt.Cost(costBits: 20, blockSize: 8, parallelism: 1)
        #expect(Scrypt.derive(password: [1], salt: [2], cost: cost) == nil)
        let absurd = Scrypt.Cost(costBits: 255, blockSize: 255, parallelism: 255)
        #expect(Scrypt.derive(password: [1], salt: [2], cost: absurd) == nil)
    }

    @Test func `keys do not print`() throws {
        let key = try #require(SymmetricKey(bytes: [UInt8](repeating: 0xab, count: 32)))
        var dumped = ""
        dump(key, to: &dumped)
        #expect("\(key) \(String(reflecting: key)) \(dumped)".contains("171") == false)
    }
}

/// MD5 and SHA-256 together are held against OpenSSL's, and both forms against known answers.
struct TwinDigestTests {
    @Test(arguments: [true, false])
    func `known messages have their known digests`(isTogether: Bool) {
        // RFC 1321 appendix A.5; FIPS 180-4's example and the empty message.
        for (text, md5, sha256) in [
            (
                "", "d41d8cd98f00b204e9800998ecf8427e",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            ),
            (
                "abc", "900150983cd24fb0d6963f7d28e17f72",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            ),
        ] {
            var digest = TwinDigest(isTogether: isTogether)
            Array(text.utf8).withUnsafeBytes { digest.update($0) }
            let finished = digest.finish()
            #expect(Hex.encode(finished.md5) == md5)
            #expect(Hex.encode(finished.sha256) == sha256)
        }
    }

    @Test func `messages of every length, however they are cut, have the digests of the whole`() {
        var generator = SeededGenerator(seed: 1)
        let bytes = (0..<5_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for length in Array(0...200) + [4_095, 4_096, 5_000] {
            var digest = TwinDigest()
            var position = 0
            while position < length {
                let count = min(length - position, Int.random(in: 0...150, using: &generator))
                let copy = digest
                bytes[position..<position + count].withUnsafeBytes { digest.update($0) }
                // A copy goes its own way.
                #expect(copy.finish().md5 == MD5.hash(bytes[..<position]))
                position += count
            }
            let finished = digest.finish()
            #expect(finished.md5 == MD5.hash(bytes[..<length]), "\(length) bytes")
            #expect(finished.sha256 == SHA256.hash(bytes[..<length]), "\(length) bytes")
        }
    }
}
