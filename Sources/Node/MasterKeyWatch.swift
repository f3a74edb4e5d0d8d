import Cryptography
import IORuntime
import MetaNode
import Primitives
import Telemetry

/// Follows the file of a meta node's master keys, so that a rotation needs no restart: it is looked at
/// every two seconds.
///
/// A look at the file instead of a signal or a call on the admin port: nothing is lost when the node
/// is down at the wrong moment, nobody can ask for it over a network, nothing on the admin port comes
/// to change anything, and it goes alike in the simulator. That it takes a few seconds costs nothing:
/// the rotation waits for the slowest node anyway.
struct MasterKeyWatch {
    static let period: Duration = .seconds(2)

    private let path: String
    private let meta: MetaNode
    private let environment: any Environment
    private let logger: Logger

    init(
        identityDirectory: String, meta: MetaNode, environment: any Environment, logger: Logger
    ) {
        self.path = identityDirectory + "/" + NodeIdentity.File.masterKeys
        self.meta = meta
        self.environment = environment
        self.logger = logger
    }

    /// Looks until the process ends or the loop refuses to wait.
    func run(on loop: any EventLoop) async {
        while true {
            do { try await loop.sleep(for: Self.period) } catch { return }
            await self.look()
        }
    }

    /// Takes over what the file holds. A file that cannot be read, or that is half written by hand,
    /// changes nothing.
    func look() async {
        let (path, files) = (self.path, self.environment.files)
        let read = await self.environment.blocking(.disk) { () -> Result<[UInt8]?, FileFault> in
            do throws(FileFault) {
                guard try files.status(path) != nil else { return .success(nil) }
                return .success(try files.contents(of: path))
            } catch { return .failure(error) }
        }
        switch read {
        case .success(nil): break
        case .success(let bytes?):
            do throws(MasterKeyRing.Fault) {
                let ring = try MasterKeyRing(text: String(decoding: bytes, as: UTF8.self))
                await self.meta.hold(ring)
            } catch {
                self.logger.error(
                    "the master keys cannot be read; those in memory stay",
                    ["path": self.path, "reason": "\(error)"])
            }
        case .failure(let fault):
            self.logger.error(
                "the master keys cannot be read; those in memory stay", ["reason": "\(fault)"])
        }
    }
}
