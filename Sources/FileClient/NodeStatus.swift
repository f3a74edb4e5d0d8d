import FoundationEssentials
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives

/// What a node says of itself on its admin port (`GET /status`).
package struct NodeStatus: Codable, Equatable, Sendable {
    package struct Group: Codable, Equatable, Sendable {
        package let group: UInt32
        /// `leader`, `follower`, `candidate`, `learner`.
        package let role: String
        package let term: UInt64
        /// The node that this one follows; nil or 0 while it knows none.
        package let leader: UInt32?
        package let applied: UInt64
        package let commit: UInt64
        /// Nil unless the log lacks entries that it had.
        package let recovering: Recovering?
    }

    /// Of a log that lacks entries: where it ends and where it had ended, as term/index.
    package struct Recovering: Codable, Equatable, Sendable {
        package let holds: String
        package let held: String
    }

    package struct Store: Codable, Equatable, Sendable {
        package let chunks: UInt64
        package let sealedBytes: UInt64
        package let segments: UInt64
        package let freeBytes: UInt64
    }

    /// What a meta node knows of master keys, by their ids.
    package struct MasterKeys: Codable, Equatable, Sendable {
        package struct Waiting: Codable, Equatable, Sendable {
            package let group: UInt32
            package let secrets: UInt64
        }

        /// In the node's memory, oldest first.
        package let held: [String]
        /// Wraps all new secrets; nil before the cluster stands.
        package let inForce: String?
        /// Replaced, and perhaps still needed.
        package let former: [String]
        /// Needed by nothing any more.
        package let retired: [String]
        /// Secrets of each group that are still under older keys.
        package let waiting: [Waiting]
    }

    package struct Disk: Codable, Equatable, Sendable {
        /// `ample`; `low`, when writes are refused; `exhausted`, when nothing more is logged.
        package let space: String
        package let freeBytes: UInt64
        /// What must be free for writes to be taken again.
        package let recoveryBytes: UInt64
    }

    package let node: UInt32
    package let cluster: String
    package let zone: String
    package let version: String
    /// What the cluster promises at this moment, in words.
    package let promise: String
    /// False while the node has not found the cluster yet; nil when it does not say.
    package let ready: Bool?
    /// Nil when the node does not say; the groups and the store then tell.
    package let roles: [String]?
    package let groups: [Group]?
    package let store: Store?
    /// Nil on nodes without the meta role.
    package let masterKeys: MasterKeys?
    /// The disk below the metadata; nil when the node keeps none or does not say.
    package let disk: Disk?

    package init?(json: [UInt8]) {
        do {
            self = try JSONDecoder().decode(NodeStatus.self, from: Data(json))
        } catch {
            return nil
        }
    }
}

/// Why a node's status is not known.
package enum NodeStatusFault: Error, Equatable, Sendable, CustomStringConvertible {
    case unreachable
    case noAnswer
    case refused(status: UInt16)
    case malformed

    package var description: String {
        switch self {
        case .unreachable: "cannot be reached"
        case .noAnswer: "does not answer"
        case .refused(let status): "answers \(status)"
        case .malformed: "answers with something else than a status"
        }
    }
}

/// One node that was asked.
package struct AskedNode: Equatable, Sendable {
    package let address: SocketAddress
    package let answer: Result<NodeStatus, NodeStatusFault>

    package init(_ address: SocketAddress, _ answer: Result<NodeStatus, NodeStatusFault>) {
        self.address = address
        self.answer = answer
    }
}

/// Asks nodes for their status, all at once. Used by tasks of one loop.
package struct StatusClient: Sendable {
    private let loop: any EventLoop
    private let http: HTTPClient

    /// For one node's answer.
    package static let timeout: Duration = .seconds(5)
    package static let answerLimitBytes = 4 << 20

    package init(_ environment: any Environment, loop: any EventLoop) {
        self.loop = loop
        self.http = HTTPClient(environment, loop: loop)
    }

    /// The answers in the order of the addresses.
    package func ask(_ addresses: [SocketAddress]) async -> [AskedNode] {
        let answers = await withTaskGroup(of: (Int, AskedNode).self) { group in
            for (index, address) in addresses.enumerated() {
                group.addTask { (index, await self.ask(address)) }
            }
            var answers: [(Int, AskedNode)] = []
            for await answer in group { answers.append(answer) }
            return answers
        }
        return answers.sorted { $0.0 < $1.0 }.map(\.1)
    }

    private func ask(_ address: SocketAddress) async -> AskedNode {
        do throws(NodeStatusFault) {
            return AskedNode(address, .success(try await self.status(of: address)))
        } catch {
            return AskedNode(address, .failure(error))
        }
    }

    private func status(of address: SocketAddress) async throws(NodeStatusFault) -> NodeStatus {
        guard let request = Self.request(to: address) else { throw .unreachable }
        let body: [UInt8]
        let status: Status
        do throws(HTTPClientFault) {
            let response = try await self.http.send(
                request, to: HTTPEndpoint(address), deadline: self.loop.now + Self.timeout)
            status = response.head.status
            body = try await response.collect(limit: Self.answerLimitBytes)
        } catch .connection(.refused), .connection(.unreachable) {
            throw .unreachable
        } catch .responseRefused, .responseTooLarge {
            throw .malformed
        } catch {
            throw .noAnswer
        }
        guard status.isSuccess else { throw .refused(status: status.rawValue) }
        guard let answer = NodeStatus(json: body) else { throw .malformed }
        return answer
    }

    private static func request(to address: SocketAddress) -> OutgoingRequest? {
        do throws(FieldFault) {
            return try OutgoingRequest(.get, target: "/status", host: address.description)
        } catch {
            return nil
        }
    }
}
