import Primitives

/// One direction of a connection: what is under way, and what has arrived and waits to be read.
///
/// Holds at most `capacityBytes` that were taken from the writer and not yet confirmed: bytes under
/// way, bytes unread, and bytes whose confirmation cannot come back because the other direction is
/// cut. Behind that the writer waits.
final class SimulatedPipe {
    enum Segment {
        case bytes([UInt8])
        /// The writer has finished (FIN).
        case end
        /// The connection is given up (RST).
        case reset
    }

    let path: NetworkPath

    /// Called with what arrives, in order.
    var deliver: (Segment) -> Void = { _ in }
    /// Called when a writer that found no room may try again.
    var roomMade: () -> Void = {}

    private let capacityBytes: Int
    private unowned let network: SimulatedNetwork
    private var underWay: [(due: Instant, segment: Segment)] = []
    private var lastDue = Instant(nanoseconds: 0)
    private var isPumpScheduled = false
    private var isStalled = false
    private var occupiedBytes = 0
    private var unconfirmedBytes = 0

    init(_ network: SimulatedNetwork, _ path: NetworkPath) {
        self.network = network
        self.path = path
        self.capacityBytes = network.streamBufferBytes
    }

    var roomBytes: Int { self.capacityBytes - self.occupiedBytes }
    var isEmpty: Bool { self.underWay.isEmpty }

    func send(_ segment: Segment) {
        var sizeBytes = 60
        if case .bytes(let bytes) = segment {
            sizeBytes += bytes.count
            self.occupiedBytes += bytes.count
        }
        // What is sent later never overtakes.
        let arrival = self.network.arrival(on: self.path, sizeBytes: sizeBytes)
        self.lastDue = max(self.lastDue, arrival)
        self.underWay.append((self.lastDue, segment))
        self.schedulePump()
    }

    /// Sends a reset; by seed it overtakes what is under way, which then is lost.
    func sendReset() {
        if self.network.generator.chance(0.5) { self.underWay = [] }
        self.send(.reset)
    }

    /// Forgets what is under way.
    func clear() { self.underWay = [] }

    /// Bytes were read, or will never be: the writer may send as many more, once it hears of it.
    func confirm(_ count: Int) {
        self.unconfirmedBytes += count
        self.returnConfirmations()
    }

    private func returnConfirmations() {
        guard self.unconfirmedBytes > 0, !self.network.isBlocked(self.path.reversed) else { return }
        let wasFull = self.roomBytes == 0
        self.occupiedBytes -= self.unconfirmedBytes
        self.unconfirmedBytes = 0
        if wasFull { self.roomMade() }
    }

    /// A path was cut or mended: what waits is sent again after one more delay.
    func pathsChanged() {
        self.returnConfirmations()
        guard self.isStalled, !self.network.isBlocked(self.path) else { return }
        self.isStalled = false
        let arrival = self.network.arrival(on: self.path, sizeBytes: 60)
        self.underWay = self.underWay.map { (max($0.due, arrival), $0.segment) }
        self.lastDue = max(self.lastDue, arrival)
        self.schedulePump()
    }

    private func schedulePump() {
        guard !self.isPumpScheduled, !self.isStalled, let first = self.underWay.first else {
            return
        }
        self.isPumpScheduled = true
        self.network.simulator.schedule(at: first.due) { [weak self] in self?.pump() }
    }

    private func pump() {
        self.isPumpScheduled = false
        if self.network.isBlocked(self.path) {
            self.isStalled = !self.underWay.isEmpty
            return
        }
        let now = self.network.simulator.now
        while let first = self.underWay.first, first.due <= now {
            self.underWay.removeFirst()
            self.deliver(first.segment)
        }
        self.schedulePump()
    }
}
