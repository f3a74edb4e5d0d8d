import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Signing
import Synchronization
import Telemetry

/// A person's machine, seen from the edges: puts and gets files through any edge, the next one when
/// one fails. A write that no edge has confirmed is a fault, never a success.
///
/// A client belongs to one loop: it is used by tasks of that loop only. Every request it makes may
/// be repeated without harm, because the same bytes go to the same key.
package final class FileClient: Sendable {
    package let options: FileClientOptions
    let environment: any Environment
    let loop: any EventLoop
    let partialFiles = PartialFiles()
    let slots: TransferSlots
    private let http: HTTPClient
    private let signer: SigV4Signer
    private let turns: Mutex<EdgeTurns>
    /// For spreading pauses: no secret depends on it.
    private let jitter: Mutex<SeededGenerator>

    /// `security` is for edges with `https://`; without it they are refused.
    package init(
        _ environment: any Environment, loop: any EventLoop, options: FileClientOptions,
        security: (any ChannelSecurity)? = nil
    ) {
        invariant(!options.edges.isEmpty, "a client knows an edge")
        self.environment = environment
        self.loop = loop
        self.options = options
        self.slots = TransferSlots(count: options.jobs)
        var settings = HTTPClientSettings()
        settings.leastBytesPerSecond = TransferBounds.leastBytesPerSecond
        self.http = HTTPClient(environment, loop: loop, security: security, settings: settings)
        self.signer = SigV4Signer(
            accessKey: options.accessKey, secret: options.secret.secret, region: options.region,
            primitives: OpenSSLPrimitives())
        let seed = environment.randomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        var generator = SeededGenerator(seed: seed)
        // Many clients start at the same moment and do one thing each: not all at the first edge.
        let first = Int(generator.next() % UInt64(options.edges.count))
        self.turns = Mutex(EdgeTurns(edgeCount: options.edges.count, first: first))
        self.jitter = Mutex(generator)
    }

    /// Closes the connections that are not in use.
    package func close() { self.http.closeUnused() }

    /// The attempts at a new request, beginning at the edge whose turn it is.
    func attempts() -> EdgeAttempts {
        let now = self.loop.now
        let first = self.turns.withLock { $0.next(at: now) }
        return EdgeAttempts(
            edgeCount: self.options.edges.count, first: first, limits: self.options.attempts)
    }

    /// A wait whose length says nothing.
    func pause(for span: Duration) async throws(FileClientFault) {
        do { try await self.loop.sleep(for: span) } catch { throw .cancelled }
    }

    func drawJitter() -> UInt64 { self.jitter.withLock { $0.next() } }

    func took(_ failure: EdgeFailure, at edge: Int) {
        let now = self.loop.now
        self.turns.withLock { turns in
            switch failure {
            // A bad copy of one object says nothing about the edge's other answers.
            case .corrupted: break
            case .unreachable, .broken, .timedOut, .overloaded, .failed, .untrusted:
                turns.failed(edge, at: now)
            }
        }
    }

    func answered(at edge: Int) { self.turns.withLock { $0.answered(edge) } }

    /// Sends one signed request once.
    func exchange(
        _ request: OutgoingRequest, with edge: EdgeAddress, body: RequestBody, bodyBytes: UInt64
    ) async throws(HTTPClientFault) -> HTTPClientResponse {
        try await self.http.send(
            request, to: edge.endpoint, body: body,
            // An edge that refuses a large body says so before it travels.
            expectsContinue: bodyBytes > UInt64(TransferBounds.pieceBytes),
            deadline: TransferBounds.deadline(from: self.loop.now, bodyBytes: bodyBytes))
    }

    func sign(
        _ request: EdgeRequest, for edge: EdgeAddress
    ) throws(FileClientFault) -> OutgoingRequest {
        do throws(FieldFault) {
            return try request.signed(
                for: edge, by: self.signer, at: self.environment.wallClock)
        } catch {
            throw .unsendable(subject: request.subject)
        }
    }
}
