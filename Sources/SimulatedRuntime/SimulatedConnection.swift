import IORuntime
import Primitives

/// Two ends and the two pipes between them.
final class SimulatedConnection {
    typealias End = (process: SimulatedEnvironment, loop: SimulatedLoop, address: SocketAddress)

    let client: StreamEnd
    let server: StreamEnd
    private let clientToServer: SimulatedPipe
    private let serverToClient: SimulatedPipe

    init(_ network: SimulatedNetwork, client: End, server: End) {
        let path = NetworkPath(
            from: client.process.node.index, to: server.process.node.index)
        self.clientToServer = SimulatedPipe(network, path)
        self.serverToClient = SimulatedPipe(network, path.reversed)
        self.client = StreamEnd(
            network, client, remoteAddress: server.address, incoming: self.serverToClient,
            outgoing: self.clientToServer)
        self.server = StreamEnd(
            network, server, remoteAddress: client.address, incoming: self.clientToServer,
            outgoing: self.serverToClient)
    }

    var ends: [StreamEnd] { [self.client, self.server] }

    func joins(_ a: SimulatedNode, _ b: SimulatedNode) -> Bool {
        let (from, to) = (self.client.process.node, self.server.process.node)
        return (from === a && to === b) || (from === b && to === a)
    }

    func pathsChanged() {
        self.clientToServer.pathsChanged()
        self.serverToClient.pathsChanged()
    }

    /// Whether neither end can tell or hear anything any more.
    var isOver: Bool {
        self.client.isGone && self.server.isGone && self.clientToServer.isEmpty
            && self.serverToClient.isEmpty
    }
}
