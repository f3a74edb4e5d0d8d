import IORuntime
import Primitives

/// What one node asks of another. What the kinds and the bytes mean is between asker and answerer.
package struct PeerRequest: Sendable, Equatable {
    package var kind: UInt16
    /// At most `PeerLimits.headLimitBytes`.
    package var head: [UInt8]
    /// Bulk pieces, sent one behind the other; where one ends and the next begins is not kept.
    package var body: [[UInt8]]

    package init(kind: UInt16, head: [UInt8], body: [[UInt8]] = []) {
        self.kind = kind
        self.head = head
        self.body = body
    }
}

package struct PeerResponse: Sendable, Equatable {
    package var head: [UInt8]
    /// Received in one or several pieces, in order.
    package var body: [[UInt8]]

    package init(head: [UInt8] = [], body: [[UInt8]] = []) {
        self.head = head
        self.body = body
    }
}

package enum PeerAnswer: Sendable, Equatable {
    case response(PeerResponse)
    /// No, for a reason that asker and answerer know by its code.
    case refused(code: UInt16, message: String)
}

/// The answering side, one for each node. A node's own calls to itself come here too.
package protocol PeerAnswerer: Sendable {
    /// Answers one call. Runs in a task of its own on the connection's loop, which is cancelled
    /// when the caller gives up or its deadline has passed.
    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer

    /// Takes a message that wants no answer, in the order of sending for each connection. Hands it
    /// over and returns: while it runs, nothing else is read from that connection.
    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID)
}

/// One of the two connections between a pair of nodes, so that small things never wait behind large
/// ones. Raw values travel in the hello and are for ever.
package enum Lane: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// Small calls, Raft's messages, heartbeats.
    case control = 1
    /// Requests and responses with large bodies.
    case bulk = 2

    package var description: String {
        switch self {
        case .control: "control"
        case .bulk: "bulk"
        }
    }
}

/// The asking side: reaches every node of the cluster, this one included.
package protocol Peers: Sendable {
    /// Asks `node` and waits for its answer. The call travels on the bulk lane when its body is
    /// `PeerLimits.bulkSizeBytes` or longer, else on the lane given.
    ///
    /// - Parameter lane: `.bulk` for a request whose *response* will have a large body.
    func call(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async throws(CallFault) -> PeerResponse

    /// Sends a message that wants no answer: best effort, never waits. Messages to one node on one
    /// lane arrive in the order sent, or not at all. When the node is not reachable or its queue is
    /// full (`PeerLimits.messageQueueBytes`), the *newest* message is dropped: what stands in the
    /// queue is then still a run without holes, which is worth more to Raft's appends.
    func send(_ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane)

    /// Sends a message on the control lane before everything that waits there, also between the parts
    /// of a longer message: for heartbeats, which keep their order among themselves alone. Longer
    /// than `PeerLimits.partSizeBytes`, it waits its turn as any other.
    func sendUrgent(_ node: NodeID, kind: UInt16, _ message: [UInt8])
}

extension Peers {
    package func call(
        _ node: NodeID, _ request: PeerRequest, deadline: Instant
    ) async throws(CallFault) -> PeerResponse {
        try await self.call(node, request, lane: .control, deadline: deadline)
    }

    package func send(_ node: NodeID, kind: UInt16, _ message: [UInt8]) {
        self.send(node, kind: kind, message, lane: .control)
    }
}

/// What became of the connection to a node.
package enum PeerEvent: Sendable, Equatable {
    /// The node can be reached.
    case up(NodeID)
    /// The connection broke; another is being tried at once.
    case lost(NodeID)
    /// The connection broke *and* nobody listens at the node's address: its process has ended. For
    /// failover that need not wait for an election timeout.
    case gone(NodeID)
}

/// Why a call has no response.
package enum CallFault: Error, Equatable, Sendable {
    /// No connection could be made, or the address is not known. The call has not run.
    case unreachable(NodeID)
    /// The call may have run, unless `mayHaveRun` is false.
    case deadlineExceeded(mayHaveRun: Bool)
    /// The service said no.
    case refused(code: UInt16, message: String)
    /// The connection broke while the call was under way.
    case connectionLost(mayHaveRun: Bool)
    /// Too many calls are waiting, here or there. The call has not run.
    case overloaded
    /// The caller's task was cancelled.
    case cancelled(mayHaveRun: Bool)
    /// This side is shutting down. The call has not run.
    case shuttingDown
    /// The other side sent what cannot be read.
    case malformed(FormatFault)
    /// The request is larger than a call may be. The call has not run.
    case tooLarge(sizeBytes: Int, limitBytes: Int)

    /// False when the call has certainly not run, so that it may be tried again without a thought.
    package var mayHaveRun: Bool {
        switch self {
        case .unreachable, .overloaded, .shuttingDown, .tooLarge: false
        case .deadlineExceeded(let mayHaveRun), .connectionLost(let mayHaveRun),
            .cancelled(let mayHaveRun):
            mayHaveRun
        // A refusal is the service's own word: it has run as far as it says.
        case .refused, .malformed: true
        }
    }
}
