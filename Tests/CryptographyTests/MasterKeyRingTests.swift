import Cryptography
import Primitives
import Testing

@Suite struct MasterKeyRingTests {
    private func key(_ byte: UInt8) throws -> MasterKey {
        MasterKey(try #require(SymmetricKey(bytes: [UInt8](repeating: byte, count: 32))))
    }

    private static let nonce = [UInt8](repeating: 9, count: 12)

    @Test func `a secret opens with the key it names, wherever that stands in the ring`() throws {
        let (old, new, other) = (try self.key(1), try self.key(2), try self.key(3))
        let ring = try #require(MasterKeyRing(old).adding(new))
        #expect(ring.newest.id == new.id && ring.ids == [old.id, new.id])
        for key in [old, new] {
            let wrapped = key.wrap([5, 6], context: "it", nonce: Self.nonce)
            #expect(WrappedSecret.masterKey(of: wrapped) == key.id)
            #expect(try ring.unwrap(wrapped, context: "it") == [5, 6])
            #expect(throws: UnwrapFault.damaged) { try ring.unwrap(wrapped, context: "other") }
        }
        let foreign = other.wrap([5], context: "it", nonce: Self.nonce)
        #expect(throws: UnwrapFault.keyMissing(other.id)) {
            try ring.unwrap(foreign, context: "it")
        }
        #expect(throws: UnwrapFault.damaged) { try ring.unwrap([1, 2, 3], context: "it") }
    }

    /// What a key commits to: no envelope opens under a key that it does not name.
    @Test func `an envelope that names another key of the ring does not open`() throws {
        let (old, new) = (try self.key(1), try self.key(2))
        let ring = try #require(MasterKeyRing([old, new]))
        var wrapped = old.wrap([5, 6], context: "it", nonce: Self.nonce)
        wrapped.replaceSubrange(1..<17, with: new.id.bytes)
        #expect(throws: UnwrapFault.damaged) { try ring.unwrap(wrapped, context: "it") }
    }

    @Test func `a ring has each key once, and always one`() throws {
        let (old, new) = (try self.key(1), try self.key(2))
        let ring = try #require(MasterKeyRing([old, new]))
        #expect(ring.adding(old) == nil)
        #expect(ring.dropping(old.id)?.ids == [new.id])
        #expect(ring.dropping(old.id)?.dropping(new.id) == nil)
        #expect(ring.dropping(try self.key(3).id) == nil)
        let many = try (1...9).map { try self.key(UInt8($0)) }
        #expect(MasterKeyRing(Array(many[..<8]))?.adding(many[8]) == nil)
        #expect(MasterKeyRing([]) == nil)
    }

    /// A file that operators carry: its form never changes.
    @Test func `the file of a ring is read as it was written`() throws {
        let ring = try #require(MasterKeyRing([try self.key(1), try self.key(2)]))
        let text = ring.text
        #expect(
            text == """
                version = 1
                \(try self.key(1).id) = \(String(repeating: "01", count: 32))
                \(try self.key(2).id) = \(String(repeating: "02", count: 32))

                """)
        #expect(try MasterKeyRing(text: text).ids == ring.ids)
        #expect(try MasterKeyRing(text: "# of photos\n\n" + text).ids == ring.ids)
    }

    @Test func `thousands of damaged files give a ring of known keys or a fault`() throws {
        let keys = [try self.key(1), try self.key(2)]
        let text = Array(try #require(MasterKeyRing(keys)).text.utf8)
        let known = Set(keys.map(\.id))
        var random = SeededGenerator(seed: 5)
        var refused = 0
        for _ in 0..<3000 {
            var bytes = text
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.removeSubrange(place...)
                }
                if bytes.isEmpty { break }
            }
            do throws(MasterKeyRing.Fault) {
                let ring = try MasterKeyRing(text: String(decoding: bytes, as: UTF8.self))
                #expect(known.isSuperset(of: ring.ids))
            } catch { refused += 1 }
        }
        #expect(refused > 2000)
    }

    @Test func `a file with a wrong digit, or without its version, is refused`() throws {
        let key = try self.key(1)
        let line = "\(key.id) = \(key.digits)"
        typealias Fault = MasterKeyRing.Fault
        let files: [(String, Fault)] = [
            ("", .unknownVersion), (line, .unknownVersion),
            ("version = 2\n" + line, .unknownVersion),
            ("version = 1\n", .wrongKeys), ("version = 1\n\(line)\n\(line)", .wrongKeys),
            ("version = 1\n\(line.dropLast())", .malformedLine(number: 2)),
            ("version = 1\n\(line) x", .malformedLine(number: 2)),
            ("version = 1\n\(line.dropLast())2", .wrongKey(line: 2)),
        ]
        for (text, fault) in files {
            #expect(throws: fault) { try MasterKeyRing(text: text) }
        }
    }
}
