import ChaosKit
import FileClient
import Testing

/// The judge of real clusters, judged: it must see what is wrong, and only that.
@Suite struct LedgerTests {
    private static let object = RemotePath(bucket: "bucket", key: "key")
    private static let first = SeededContent(seed: 1, sizeBytes: 100)
    private static let second = SeededContent(seed: 2, sizeBytes: 100)

    private enum Step {
        case acknowledged(SeededContent?)
        case unknown(SeededContent?)
        case unsent(SeededContent?)
        case pending(SeededContent?)
    }

    private static func ledger(_ steps: [Step]) -> WriteLedger {
        var ledger = WriteLedger()
        for step in steps {
            switch step {
            case .acknowledged(let content):
                ledger.began(Self.object, content)
                ledger.acknowledged(Self.object)
            case .unknown(let content):
                ledger.began(Self.object, content)
                ledger.becameUnknown(Self.object)
            case .unsent(let content):
                ledger.began(Self.object, content)
                ledger.wasNotSent(Self.object)
            case .pending(let content): ledger.began(Self.object, content)
            }
        }
        return ledger
    }

    /// The verdict on an object that is read as `content` after the steps.
    private static func verdict(_ steps: [Step], read bytes: [UInt8]?) -> WriteLedger.Verdict {
        let ledger = Self.ledger(steps)
        return ledger.judge(Self.object, read: bytes, since: ledger.readFloor(Self.object))
    }

    @Test func `what was acknowledged last must be read`() {
        let steps: [Step] = [.acknowledged(Self.first), .acknowledged(Self.second)]
        #expect(Self.verdict(steps, read: Self.second.bytes) == .right)
        #expect(Self.verdict(steps, read: Self.first.bytes) == .outdated)
        #expect(Self.verdict(steps, read: nil) == .lost)
        #expect(Self.verdict(steps, read: [1, 2, 3]) == .foreign)
    }

    @Test func `one flipped bit is foreign`() {
        var bytes = Self.first.bytes
        bytes[99] ^= 0x80
        #expect(Self.verdict([.acknowledged(Self.first)], read: bytes) == .foreign)
    }

    @Test func `a write of unknown outcome may be seen or not, and what was before it not lost`() {
        let steps: [Step] = [.acknowledged(Self.first), .unknown(Self.second)]
        #expect(Self.verdict(steps, read: Self.first.bytes) == .right)
        #expect(Self.verdict(steps, read: Self.second.bytes) == .right)
        #expect(Self.verdict(steps, read: nil) == .lost)
    }

    @Test func `a write that nobody heard must not be seen`() {
        let steps: [Step] = [.acknowledged(Self.first), .unsent(Self.second)]
        #expect(Self.verdict(steps, read: Self.first.bytes) == .right)
        #expect(Self.verdict(steps, read: Self.second.bytes) == .foreign)
    }

    @Test func `an object that was removed is gone, and stays so`() {
        let steps: [Step] = [.acknowledged(Self.first), .acknowledged(nil)]
        #expect(Self.verdict(steps, read: nil) == .right)
        #expect(Self.verdict(steps, read: Self.first.bytes) == .outdated)
    }

    @Test func `an object that was never acknowledged may be missing`() {
        #expect(Self.verdict([.unknown(Self.first)], read: nil) == .right)
        #expect(Self.verdict([.pending(Self.first)], read: nil) == .right)
        #expect(Self.verdict([.pending(Self.first)], read: Self.first.bytes) == .right)
    }

    @Test func `a read may be as old as its beginning and no older`() {
        var ledger = Self.ledger([.acknowledged(Self.first)])
        let floor = ledger.readFloor(Self.object)
        ledger.began(Self.object, Self.second)
        ledger.acknowledged(Self.object)
        #expect(ledger.judge(Self.object, read: Self.first.bytes, since: floor) == .right)
        #expect(ledger.judge(Self.object, read: Self.second.bytes, since: floor) == .right)
        let later = ledger.readFloor(Self.object)
        #expect(ledger.judge(Self.object, read: Self.first.bytes, since: later) == .outdated)
    }

    @Test func `a seed and a size decide every byte`() {
        #expect(
            SeededContent(seed: 7, sizeBytes: 13).bytes
                == SeededContent(seed: 7, sizeBytes: 13).bytes)
        #expect(
            SeededContent(seed: 7, sizeBytes: 13).bytes
                != SeededContent(seed: 8, sizeBytes: 13).bytes)
        #expect(SeededContent(seed: 7, sizeBytes: 0).bytes == [])
    }

    @Test(arguments: ["", "export A=1", "HOLDFAST_KEY='x'", "export HOLDFAST_KEY='x'"])
    func `variables that init does not write are refused`(text: String) {
        #expect(ClusterVariables(text: text) == nil)
    }

    @Test func `variables are read as a shell reads them`() throws {
        let text = """
            export HOLDFAST_EDGES='http://127.0.0.1:9001,http://127.0.0.1:9002'
            export HOLDFAST_ADMIN='127.0.0.1:9101,127.0.0.1:9102'
            export HOLDFAST_KEY='KEY'
            export HOLDFAST_SECRET='s=e"c'\\''ret'

            """
        let variables = try #require(ClusterVariables(text: text))
        #expect(
            variables.edges.map(\.description) == [
                "http://127.0.0.1:9001", "http://127.0.0.1:9002",
            ])
        #expect(variables.adminAddresses.map(\.port) == [9101, 9102])
        #expect(variables.secret == "s=e\"c'ret")
    }
}
