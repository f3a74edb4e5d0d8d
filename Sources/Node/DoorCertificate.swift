import Cryptography
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// What the HTTPS doors prove themselves by. A renewed certificate takes its place while the node
/// runs: handshakes that begin afterwards use it, connections that stand go on.
package final class DoorCertificate: ChannelSecurity {
    private struct InForce {
        let pair: CertifiedKey
        let security: TLSChannelSecurity
    }

    private let inForce: Mutex<InForce>

    package init(_ pair: CertifiedKey) throws(CertificateFault) {
        let security = try TLSChannelSecurity.doors(certificate: pair)
        self.inForce = Mutex(InForce(pair: pair, security: security))
    }

    /// False when it is the one in force. On a fault that one stays.
    package func replace(with pair: CertifiedKey) throws(CertificateFault) -> Bool {
        guard self.inForce.withLock({ $0.pair }) != pair else { return false }
        let security = try TLSChannelSecurity.doors(certificate: pair)
        self.inForce.withLock { $0 = InForce(pair: pair, security: security) }
        return true
    }

    package func secure(
        _ stream: any ByteStream, as role: ChannelRole, deadline: Instant
    ) async throws(StreamFault) -> any SecureChannel {
        let security = self.inForce.withLock { $0.security }
        return try await security.secure(stream, as: role, deadline: deadline)
    }
}

/// Follows the files of a door's certificate and key, so that a renewal needs no restart and no
/// signal: they are looked at every five seconds, as those of the master keys are.
struct DoorCertificateWatch {
    static let period: Duration = .seconds(5)

    private let directory: String
    private let door: DoorCertificate
    private let environment: any Environment
    private let logger: Logger

    init(
        identityDirectory: String, door: DoorCertificate, environment: any Environment,
        logger: Logger
    ) {
        self.directory = identityDirectory
        self.door = door
        self.environment = environment
        self.logger = logger
    }

    /// Looks until the process ends or the loop refuses to wait.
    func run(on loop: any EventLoop) async {
        var last: String?
        while true {
            do { try await loop.sleep(for: Self.period) } catch { return }
            let problem = await self.look()
            // Once, and not every five seconds, until it is another or gone.
            if let problem, problem != last {
                self.logger.error(
                    "the certificate of the HTTPS door cannot be read; the one in force stays",
                    ["directory": self.directory, "reason": problem])
            }
            last = problem
        }
    }

    /// Takes over what the files hold; why that cannot be. A certificate and a key that do not belong
    /// together are a renewal that is half done.
    func look() async -> String? {
        let (directory, files) = (self.directory, self.environment.files)
        let read = await self.environment.blocking(.disk) { () -> Result<CertifiedKey, FileFault> in
            do throws(FileFault) {
                let certificate = try files.contents(
                    of: directory + "/" + NodeIdentity.File.doorCertificate)
                let key = try files.contents(of: directory + "/" + NodeIdentity.File.doorKey)
                return .success(
                    CertifiedKey(
                        certificatePEM: String(decoding: certificate, as: UTF8.self),
                        keyPEM: String(decoding: key, as: UTF8.self)))
            } catch { return .failure(error) }
        }
        switch read {
        case .failure(let fault): return "\(fault)"
        case .success(let pair):
            do throws(CertificateFault) {
                if try self.door.replace(with: pair) {
                    self.logger.info("the HTTPS door has another certificate")
                }
                return nil
            } catch { return "\(error)" }
        }
    }
}
