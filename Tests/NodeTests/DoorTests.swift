import Cryptography
import IORuntime
import Node
import Primitives
import Testing

@Suite struct DoorTests {
    @Test func `a renewed certificate takes over, and a half done renewal changes nothing`()
        throws
    {
        let identities = try newCluster(["a", "a", "b"]).identities
        let (old, new) = (identities[0].door, identities[1].door)
        let door = try DoorCertificate(old)
        #expect(try !door.replace(with: old))
        let half = CertifiedKey(certificatePEM: new.certificatePEM, keyPEM: old.keyPEM)
        #expect(throws: CertificateFault.keyMismatch) { try door.replace(with: half) }
        let torn = CertifiedKey(certificatePEM: "", keyPEM: new.keyPEM)
        #expect(throws: CertificateFault.self) { try door.replace(with: torn) }
        #expect(try !door.replace(with: old), "the one in force stays")
        #expect(try door.replace(with: new))
        #expect(try !door.replace(with: new))
    }

    @Test(arguments: [
        ("127.0.0.1", false, "127.0.0.1"), ("127.0.0.1", true, "127.0.0.1"), ("::1", false, "::1"),
        ("10.1.2.3", false, "127.0.0.1"), ("10.1.2.3", true, "10.1.2.3"),
        ("fd00::7", false, "127.0.0.1"),
    ])
    func `clear HTTP stays on the machine unless it is wanted elsewhere`(
        host: String, isPlainAnywhere: Bool, edgeHost: String
    ) {
        let plan = NewCluster.NodePlan(
            node: NodeID(3), zone: "a", host: host, base: 9_000, isPlainAnywhere: isPlainAnywhere)
        #expect(plan.edge == SocketAddress(host: edgeHost, port: 9_003))
        #expect(plan.https == SocketAddress(host: host, port: 9_403))
        #expect(plan.peer == SocketAddress(host: host, port: 9_203))
        #expect(plan.admin == SocketAddress(host: host, port: 9_103))
    }
}
