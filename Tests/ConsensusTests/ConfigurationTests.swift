import Consensus
import Primitives
import Testing
import Wire

struct ConfigurationTests {
    private static func nodes(_ numbers: UInt32...) -> [NodeID] { numbers.map { NodeID($0) } }

    private static let joint = Configuration(
        voters: nodes(4, 2, 1), outgoingVoters: nodes(1, 2, 3), learners: nodes(3, 7))

    @Test func `a configuration has the bytes it always had`() throws {
        let bytes: [UInt8] = [
            1,
            3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0,
            3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0,
            2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0,
        ]
        #expect(Self.joint.encoded == bytes)
        #expect(try Configuration(decoding: bytes) == Self.joint)
        #expect("\(Self.joint)" == "1,2,4 out=1,2,3 learn=3,7")
    }

    @Test func `bytes that no group can have are refused, and none make the reader stop`() {
        let good = Self.joint.encoded
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<5000 {
            var bytes = good
            for _ in 0...generator.next() % 3 {
                bytes[Int(generator.next() % UInt64(bytes.count))] ^= UInt8(
                    truncatingIfNeeded: 1 << (generator.next() % 8))
            }
            bytes.removeLast(Int(generator.next() % 5))
            guard let read = try? Configuration(decoding: bytes) else { continue }
            #expect(read.isWellFormed)
            #expect(read.encoded == bytes, "one form for each configuration")
        }
        let learningVoter = Configuration(voters: Self.nodes(1), learners: Self.nodes(1))
        #expect(throws: FormatFault.self) { try Configuration(decoding: learningVoter.encoded) }
    }

    @Test func `an entry with a configuration that no group can have is refused`() throws {
        let entry = Entry(
            after: .zero, term: Term(1), kind: .configuration,
            payload: Configuration.unknown.encoded)
        var writer = ByteWriter()
        entry.encode(into: &writer)
        let bytes = writer.bytes
        #expect(throws: FormatFault.self) {
            var reader = ByteReader(bytes[...])
            _ = try Entry(at: entry.index, from: &reader)
        }
    }

    @Test func `learners come and go in one step, voters in two`() {
        let now = Configuration(voters: Self.nodes(1, 2, 3), learners: Self.nodes(4))
        #expect(
            now.step(toVoters: Self.nodes(3, 2, 1), learners: Self.nodes(5))
                == Configuration(voters: Self.nodes(1, 2, 3), learners: Self.nodes(5)))
        let step = now.step(toVoters: Self.nodes(1, 2, 4), learners: [])
        #expect(
            step
                == Configuration(
                    voters: Self.nodes(1, 2, 4), outgoingVoters: Self.nodes(1, 2, 3)))
        #expect(step.withoutOutgoing == Configuration(voters: Self.nodes(1, 2, 4)))
    }
}
