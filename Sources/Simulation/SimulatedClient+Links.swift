import Catalog
import FileClient
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import SimulatedRuntime

/// Signed links, made and followed at the doors of edges.
extension SimulatedClient {
    /// A link to read an object by, made by one signed request to a machine's edge.
    package func makeLink(
        to key: ObjectKey, at machine: SimulatedNode, expiresInSeconds: Int64 = 600
    ) async -> Answer<SignedLink> {
        await self.askDoor(of: machine) { client throws(FileClientFault) in
            try await client.link(
                LinkRequest(self.path(key), expiresInSeconds: expiresInSeconds))
        }
    }

    /// Follows a link through a machine's edge, once; nil where no answer came.
    package func follow(
        _ link: SignedLink, at machine: SimulatedNode
    ) async -> SimulatedCluster.PlainAnswer? {
        await self.cluster.fetch(
            link.target,
            from: SocketAddress(host: machine.host, port: SimulatedIdentities.edgePort))
    }
}

extension SimulatedCluster {
    /// What a request without a signature is told.
    package struct PlainAnswer: Equatable, Sendable {
        package let status: Status
        package let body: [UInt8]
    }

    private static let plainRequestLimit: Duration = .seconds(15)
    private static let plainBodyLimitBytes = 1 << 20

    /// Asks a listener of a node once, from the laptop; nil where no answer came.
    package func fetch(_ target: String, from address: SocketAddress) async -> PlainAnswer? {
        let environment = self.laptop.environment
        let answer: PlainAnswer?? = await self.ask(self.laptop) {
            let loop = environment.simulatedLoops[0]
            let client = HTTPClient(environment, loop: loop)
            defer { client.closeUnused() }
            do {
                let response = try await client.send(
                    try OutgoingRequest(.get, target: target, host: address.host),
                    to: HTTPEndpoint(address), deadline: loop.now + Self.plainRequestLimit)
                return PlainAnswer(
                    status: response.head.status,
                    body: try await response.collect(limit: Self.plainBodyLimitBytes))
            } catch { return nil }
        }
        return answer ?? nil
    }
}
