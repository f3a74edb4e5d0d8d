import Cryptography
import IORuntime
import Primitives
import Testing

@Suite struct TLSHandshakeTests {
    private let ours: TLSFixture
    private let theirs: TLSFixture

    init() throws {
        self.ours = try TLSFixture(clusterByte: 0xaa)
        self.theirs = try TLSFixture(clusterByte: 0xbb)
    }

    @Test func `two nodes of a cluster know each other after the handshake`() throws {
        let handshake = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(2)), with: try self.ours.peers(2))
        #expect(try handshake.client.get().peer == .node(NodeID(2), cluster: self.ours.cluster))
        #expect(try handshake.server.get().peer == .node(NodeID(1), cluster: self.ours.cluster))
    }

    @Test func `another node than the one that was meant is refused, and both ends hear why`()
        throws
    {
        let handshake = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(3)), with: try self.ours.peers(2))
        #expect(
            handshake.clientFault
                == .insecure("the other end's certificate is refused: it is of node 2, not 3"))
        #expect(
            handshake.serverFault
                == .insecure("the other end refuses: sslv3 alert bad certificate"))
        #expect(handshake.streams.client.isClosed && handshake.streams.server.isClosed)
    }

    @Test func `a node of another cluster is refused`() throws {
        let handshake = Handshake(
            try self.theirs.peers(1), as: .client(of: NodeID(2)), with: try self.ours.peers(2))
        #expect(handshake.reasons.contains("certificate is refused"), "\(handshake.reasons)")
        #expect(handshake.reasons.contains("does not know the authority"), "\(handshake.reasons)")
    }

    @Test func `a client of another cluster is refused by the server`() throws {
        // It trusts us, but its own certificate is of its own authority.
        let client = try TLSChannelSecurity.peers(
            identity: try self.theirs.node(1), authority: self.ours.authority.pem.certificatePEM,
            cluster: self.ours.cluster, isRevoked: { _ in false })
        let handshake = Handshake(
            client, as: .client(of: NodeID(2)), with: try self.ours.peers(2))
        #expect("\(String(describing: handshake.serverFault))".contains("certificate is refused"))
    }

    @Test
    func `a certificate of an authority that is trusted but names another cluster is refused`()
        throws
    {
        let both =
            self.ours.authority.pem.certificatePEM + self.theirs.authority.pem.certificatePEM
        let client = try TLSChannelSecurity.peers(
            identity: try self.ours.node(1), authority: both, cluster: self.ours.cluster,
            isRevoked: { _ in false })
        let server = try TLSChannelSecurity.peers(
            identity: try self.theirs.node(2), authority: both, cluster: self.theirs.cluster,
            isRevoked: { _ in false })
        let handshake = Handshake(client, as: .client(of: NodeID(2)), with: server)
        #expect("\(String(describing: handshake.clientFault))".contains("it is of cluster bbbb"))
    }

    @Test func `an expired certificate is refused`() throws {
        let longAgo = TLSFixture.today + (.zero - CertificateAuthority.issuedValidity)
        let old = try self.ours.node(2, at: longAgo + .seconds(-60))
        let handshake = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(2)),
            with: try self.ours.peers(identity: old))
        #expect("\(String(describing: handshake.clientFault))".contains("expired"))
    }

    @Test func `a certificate is good an hour before it was made, and no more`() throws {
        let soon = try self.ours.node(2, at: TLSFixture.today + .seconds(3_500))
        let later = try self.ours.node(2, at: TLSFixture.today + .seconds(3_700))
        let early = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(2)),
            with: try self.ours.peers(identity: soon))
        #expect(early.clientFault == nil)
        let tooEarly = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(2)),
            with: try self.ours.peers(identity: later))
        #expect("\(String(describing: tooEarly.clientFault))".contains("not yet valid"))
    }

    @Test func `a revoked node is refused in both directions`() throws {
        let server = try self.ours.peers(2, revoked: [NodeID(1)])
        let accepting = Handshake(try self.ours.peers(1), as: .client(of: NodeID(2)), with: server)
        #expect(
            accepting.serverFault
                == .insecure(
                    "the other end's certificate is refused: "
                        + "the certificate of node 1 is revoked"))
        let client = try self.ours.peers(1, revoked: [NodeID(2)])
        let connecting = Handshake(
            client, as: .client(of: NodeID(2)), with: try self.ours.peers(2))
        #expect("\(String(describing: connecting.clientFault))".contains("node 2 is revoked"))
    }

    @Test func `a client without a certificate is refused where nodes are expected`() throws {
        let client = try TLSChannelSecurity.doors(
            trust: .authorities(self.ours.authority.pem.certificatePEM))
        let handshake = Handshake(
            client, as: .clientOfHost("localhost"), with: try self.ours.peers(2))
        #expect("\(String(describing: handshake.serverFault))".contains("shows no certificate"))
    }

    @Test func `a door's certificate is no node's`() throws {
        let door = try self.ours.authority.issueDoor(
            names: ["127.0.0.1", "localhost"], now: TLSFixture.today)
        let handshake = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(2)),
            with: try self.ours.peers(identity: door))
        #expect(
            "\(String(describing: handshake.clientFault))".contains("not the certificate of a node")
        )
    }

    @Test(arguments: [
        ("localhost", true), ("127.0.0.1", true), ("edge.example", true), ("EDGE.example", true),
        ("::1", true), ("other.example", false), ("127.0.0.2", false), ("edge.example.org", false),
    ])
    func `a door is known by its name or address`(host: String, isKnown: Bool) throws {
        let certificate = try self.ours.authority.issueDoor(
            names: ["127.0.0.1", "::1", "localhost", "edge.example"], now: TLSFixture.today)
        let server = try TLSChannelSecurity.doors(certificate: certificate)
        let client = try TLSChannelSecurity.doors(
            trust: .authorities(self.ours.authority.pem.certificatePEM))
        let handshake = Handshake(client, as: .clientOfHost(host), with: server)
        #expect((handshake.clientFault == nil) == isKnown, "\(handshake.reasons)")
        if isKnown { #expect(try handshake.server.get().peer == .anonymous) }
    }

    @Test func `the system's authorities do not vouch for ours`() throws {
        let certificate = try self.ours.authority.issueDoor(
            names: ["localhost"], now: TLSFixture.today)
        let server = try TLSChannelSecurity.doors(certificate: certificate)
        let handshake = Handshake(
            try TLSChannelSecurity.doors(), as: .clientOfHost("localhost"), with: server)
        #expect("\(String(describing: handshake.clientFault))".contains("certificate is refused"))
    }

    @Test(arguments: ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\u{0}\u{0}\u{0}\u{1}hello"])
    func `a client that speaks plain text is refused`(text: String) throws {
        let loop = SteppingLoop()
        let streams = MemoryStream.pair(on: loop, capacity: 65_536)
        let security = try self.ours.peers(1)
        let result = Box<Result<any SecureChannel, StreamFault>?>(nil)
        let isDone = loop.run {
            do throws(StreamFault) {
                try await streams.client.write(Array(text.utf8), by: loop.now + .seconds(1))
            } catch { Issue.record(error) }
            result.value = await Handshake.secure(streams.server, as: .server, security)
        }
        guard isDone, case .failure(.insecure(let reason)) = result.value else {
            Issue.record("\(String(describing: result.value))")
            return
        }
        #expect(reason.contains("does not speak TLS 1.3") || reason.contains("TLS:"))
        #expect(streams.server.isClosed)
    }

    @Test func `a client that says nothing runs into the deadline`() throws {
        let loop = SteppingLoop()
        let streams = MemoryStream.pair(on: loop, capacity: 65_536)
        let security = try self.ours.peers(1)
        let result = Box<Result<any SecureChannel, StreamFault>?>(nil)
        _ = loop.run {
            result.value = await Handshake.secure(streams.server, as: .server, security)
        }
        guard case .failure(.deadlineExceeded) = result.value else {
            Issue.record("\(String(describing: result.value))")
            return
        }
    }

    @Test func `an authority comes back from its text and issues what its nodes accept`() throws {
        let again = try CertificateAuthority(self.ours.authority.pem)
        #expect(again.cluster == self.ours.cluster)
        let identity = try again.issue(node: NodeID(7), names: [], now: TLSFixture.today)
        let handshake = Handshake(
            try self.ours.peers(1), as: .client(of: NodeID(7)),
            with: try self.ours.peers(identity: identity))
        #expect(handshake.clientFault == nil)
    }

    @Test func `texts that are no authority are refused`() throws {
        let node = try self.ours.node(1)
        #expect(throws: CertificateFault.notAnAuthority) { try CertificateAuthority(node) }
        let mixed = CertifiedKey(
            certificatePEM: self.ours.authority.pem.certificatePEM,
            keyPEM: self.theirs.authority.pem.keyPEM)
        #expect(throws: CertificateFault.keyMismatch) { try CertificateAuthority(mixed) }
        let empty = CertifiedKey(certificatePEM: "", keyPEM: "")
        #expect(throws: CertificateFault.self) { try CertificateAuthority(empty) }
    }

    @Test(arguments: ["", "a,URI:holdfast://x", "a b", "1.2.3.4,IP:5.6.7.8", "a\nb", "é.example"])
    func `a name that could smuggle another in is refused`(name: String) {
        #expect(throws: CertificateFault.badName(name)) {
            try self.ours.authority.issueDoor(names: [name], now: TLSFixture.today)
        }
    }
}
