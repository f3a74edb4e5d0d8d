import ClusterClient
import Cryptography
import IORuntime
import Node
import PeerTransport
import Primitives

/// Why a workload could not be run.
enum BenchFault: Error, CustomStringConvertible {
    case unreadable(path: String, String)
    case certificate(CertificateFault)
    case cluster(ClusterFault)
    case refused(String)

    var description: String {
        switch self {
        case .unreadable(let path, let reason): "\(path): \(reason)"
        case .certificate(let fault): "the authority cannot certify this process: \(fault)"
        case .cluster(let fault): "the cluster cannot be used: \(fault)"
        case .refused(let reason): "the cluster refused: \(reason)"
        }
    }
}

/// What lets this process speak with the peers of a cluster: a certificate that the operator's
/// authority issues for one run, so that none lies about.
struct CertifiedPeer: Sendable {
    /// No node has this number: they are given out from below.
    static let node = NodeID(UInt32.max)

    let configuration: NodeConfiguration
    let authority: CertifiedKey
    let certificate: CertifiedKey

    /// Blocking.
    ///
    /// - Parameter identityDirectory: of any node; only its `node.conf` is read.
    init(
        identityDirectory: String, authorityDirectory: String, now: Timestamp,
        files: any FileSystem
    ) throws(BenchFault) {
        func text(_ path: String) throws(BenchFault) -> String {
            do throws(FileFault) {
                return String(decoding: try files.contents(of: path), as: UTF8.self)
            } catch { throw .unreadable(path: path, "\(error)") }
        }
        let path = identityDirectory + "/" + NodeIdentity.File.configuration
        let written = try text(path)
        do throws(NodeConfiguration.Fault) {
            self.configuration = try NodeConfiguration(text: written)
        } catch { throw .unreadable(path: path, "\(error)") }
        self.authority = CertifiedKey(
            certificatePEM: try text(authorityDirectory + "/ca.pem"),
            keyPEM: try text(authorityDirectory + "/ca.key"))
        do throws(CertificateFault) {
            self.certificate = try CertificateAuthority(self.authority)
                .issue(node: Self.node, names: ["127.0.0.1"], now: now)
        } catch { throw .certificate(error) }
    }
}

/// A process that has joined the cluster as a peer without a role: it asks, and answers nothing.
struct JoinedPeer {
    let cluster: ClusterClient

    init(
        identityDirectory: String, authorityDirectory: String, in environment: any Environment
    ) async throws(BenchFault) {
        let peer = try await environment.blocking(.disk) { () throws(BenchFault) -> CertifiedPeer in
            try CertifiedPeer(
                identityDirectory: identityDirectory, authorityDirectory: authorityDirectory,
                now: environment.wallClock, files: environment.files)
        }
        let configuration = peer.configuration
        let security: TLSChannelSecurity
        do throws(CertificateFault) {
            security = try TLSChannelSecurity.peers(
                identity: peer.certificate, authority: peer.authority.certificatePEM,
                cluster: configuration.cluster, isRevoked: { _ in false })
        } catch { throw .certificate(error) }
        let loop = environment.loops[0]
        let switchboard = Switchboard(
            environment: environment, loop: loop,
            identity: PeerIdentityCard(
                node: CertifiedPeer.node, cluster: configuration.cluster, security: security),
            answerer: NothingToAnswer())
        switchboard.setAddresses(configuration.peers)
        self.cluster = ClusterClient(
            ClusterClientSettings(metaNodes: configuration.voters), node: CertifiedPeer.node,
            environment: environment, loop: loop, peers: switchboard)
        do throws(ClusterFault) { try await self.cluster.start() } catch { throw .cluster(error) }
    }
}

private struct NothingToAnswer: PeerAnswerer {
    /// The raw value is for ever.
    private static let noRole: UInt16 = 0x0001

    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        .refused(code: Self.noRole, message: "this process has no role")
    }

    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {}
}
