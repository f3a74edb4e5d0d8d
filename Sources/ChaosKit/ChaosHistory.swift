import FileClient
import IORuntime
import Primitives

/// What happens during a scenario, as the tasks that make it happen tell it.
package actor ChaosHistory {
    package struct Acknowledgement: Sendable {
        package let bucket: Int
        package let began: Instant
        package let ended: Instant
    }

    package struct Kill: Sendable {
        package let nodes: [NodeID]
        /// Groups whose leader was killed.
        package let ledGroups: [UInt32]
        package let time: Instant
        /// From the kill to the first acknowledgement of a write begun behind it; nil when none came.
        package var firstWrite: Duration?
        /// The same, until every bucket has had such an acknowledgement.
        package var everyBucket: Duration?
    }

    /// An answer that breaks a promise.
    package struct Violation: Equatable, Sendable {
        package let object: RemotePath
        package let verdict: WriteLedger.Verdict
        package let edge: String
        package let isFinal: Bool
    }

    /// What got no answer, and why the last one did not.
    package struct Failures: Sendable {
        package fileprivate(set) var lastWrite: String?
        package fileprivate(set) var reads = 0
        package fileprivate(set) var lastRead: String?
        package fileprivate(set) var finalReads = 0
        package fileprivate(set) var lastFinalRead: String?
    }

    package nonisolated let loop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }
    package nonisolated let bucketCount: Int
    package private(set) var ledger = WriteLedger()
    package private(set) var kills: [Kill] = []
    package private(set) var violations: [Violation] = []
    package private(set) var reads = 0
    package private(set) var failures = Failures()
    package private(set) var finalReads = 0
    /// Whether the workload is to end.
    package private(set) var isEnding = false
    package private(set) var longestSilence: Duration = .zero
    private var lastAcknowledgement: Instant
    /// Of the kill under way.
    private var recoveredBuckets: Set<Int> = []

    package init(bucketCount: Int, on loop: any EventLoop) {
        self.bucketCount = bucketCount
        self.loop = loop
        self.lastAcknowledgement = loop.now
    }

    package func end() { self.isEnding = true }

    // MARK: - Writes

    package func began(_ object: RemotePath, _ content: SeededContent?) -> Instant {
        self.ledger.began(object, content)
        return self.loop.now
    }

    package func acknowledged(_ object: RemotePath, bucket: Int, began: Instant) {
        let now = self.loop.now
        self.ledger.acknowledged(object)
        self.longestSilence = max(self.longestSilence, now - self.lastAcknowledgement)
        self.lastAcknowledgement = now
        guard var kill = self.kills.last, began >= kill.time else { return }
        kill.firstWrite = kill.firstWrite ?? (now - kill.time)
        self.recoveredBuckets.insert(bucket)
        if self.recoveredBuckets.count == self.bucketCount {
            kill.everyBucket = kill.everyBucket ?? (now - kill.time)
        }
        self.kills[self.kills.count - 1] = kill
    }

    package func wasNotSent(_ object: RemotePath) { self.ledger.wasNotSent(object) }

    package func becameUnknown(_ object: RemotePath, because fault: FileClientFault) {
        self.ledger.becameUnknown(object)
        self.failures.lastWrite = "\(fault)"
    }

    // MARK: - Kills

    package func killing(_ nodes: [NodeID], leaders: [UInt32: NodeID]) {
        self.recoveredBuckets = []
        let led = leaders.filter { nodes.contains($0.value) }.map(\.key).sorted()
        self.kills.append(Kill(nodes: nodes, ledGroups: led, time: self.loop.now))
    }

    /// Whether every bucket has taken writes since the last kill.
    package var hasRecovered: Bool { self.kills.last?.everyBucket != nil }

    // MARK: - Reads

    package func object(at position: UInt64) -> RemotePath? {
        let objects = self.ledger.objects
        return objects.isEmpty ? nil : objects[Int(position % UInt64(objects.count))]
    }

    package func readFloor(_ object: RemotePath) -> WriteLedger.ReadFloor {
        self.ledger.readFloor(object)
    }

    package func read(
        _ object: RemotePath, _ bytes: [UInt8]?, since floor: WriteLedger.ReadFloor, edge: String,
        isFinal: Bool
    ) {
        if isFinal { self.finalReads += 1 } else { self.reads += 1 }
        let verdict = self.ledger.judge(object, read: bytes, since: floor)
        if verdict != .right {
            self.violations.append(
                Violation(object: object, verdict: verdict, edge: edge, isFinal: isFinal))
        }
    }

    package func readFailed(
        _ object: RemotePath, _ fault: FileClientFault, edge: String, isFinal: Bool
    ) {
        if case .corrupted = fault {
            self.violations.append(
                Violation(object: object, verdict: .foreign, edge: edge, isFinal: isFinal))
        } else if isFinal {
            self.failures.finalReads += 1
            self.failures.lastFinalRead = "\(fault)"
        } else {
            self.failures.reads += 1
            self.failures.lastRead = "\(fault)"
        }
    }
}
