import Catalog
import IORuntime
import PeerTransport
import Primitives
import Telemetry

/// Keeps who can be called, and whose certificates are refused, by the nodes' records in group 0.
struct AddressBook: Sendable {
    let node: NodeID
    let switchboard: Switchboard
    let known: KnownNodes
    let identityDirectory: String
    let environment: any Environment
    let loop: any EventLoop
    let logger: Logger

    /// How long to wait before the nodes are written again to a disk that refused them.
    private static let writePause: Duration = .seconds(5)

    func update(by records: [NodeRecord]) {
        var addresses: [NodeID: SocketAddress] = [:]
        for record in records where !record.isRemoved && record.id != self.node {
            guard let address = SocketAddress(record.address) else {
                self.logger.error(
                    "a node's address cannot be understood",
                    ["peer": "\(record.id)", "address": record.address])
                continue
            }
            addresses[record.id] = address
        }
        let removed = records.filter(\.isRemoved).map(\.id)
        let isNews = self.known.update(addresses: addresses, removed: removed)
        if isNews { self.loop.spawn { await self.keep() } }
        self.switchboard.revoke(removed)
        self.switchboard.setAddresses(addresses)
        self.logger.info(
            "nodes changed",
            [
                "peers": addresses.keys.sorted().map(\.description).joined(separator: ","),
                "removed": removed.map(\.description).joined(separator: ","),
            ])
    }

    /// Writes down whom this node calls and refuses; tried until it succeeds or the process ends.
    private func keep() async {
        let (known, directory, files) = (
            self.known, self.identityDirectory, self.environment.files
        )
        while true {
            do throws(FileFault) {
                return try await self.environment.blocking(.disk) { () throws(FileFault) in
                    try known.write(into: directory, files)
                }
            } catch {
                self.logger.error(
                    "the other nodes cannot be written down", ["reason": "\(error)"])
            }
            do { try await self.loop.sleep(for: Self.writePause) } catch { return }
        }
    }
}
