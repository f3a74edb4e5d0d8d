import CLinux
import Glibc
import Primitives

/// An IPv4 or IPv6 address and a port, as the kernel takes them.
struct NumericAddress: Sendable {
    /// Addresses of one name that are tried.
    private static let addressesPerName = 8

    private let packed: holdfast_address

    init(_ packed: holdfast_address) { self.packed = packed }

    /// Nil when the host is a name.
    init?(_ address: SocketAddress) {
        guard case .success(let found) = Self.resolve(address, numeric: true) else { return nil }
        guard let first = found.first else { return nil }
        self = first
    }

    /// Asks the system's resolver, which may block for many seconds. Empty when it knows none.
    static func resolveBlocking(_ address: SocketAddress) -> [NumericAddress] {
        switch Self.resolve(address, numeric: false) {
        case .success(let found): found
        case .failure: []
        }
    }

    private struct ResolverFault: Error {}

    private static func resolve(
        _ address: SocketAddress, numeric: Bool
    ) -> Result<[NumericAddress], ResolverFault> {
        withUnsafeTemporaryAllocation(
            of: holdfast_address.self, capacity: Self.addressesPerName
        ) { found in
            guard let space = found.baseAddress else { return .failure(ResolverFault()) }
            let count = holdfast_resolve(
                address.host, address.port, numeric, space, Int32(found.count))
            guard count >= 0 else { return .failure(ResolverFault()) }
            return .success(found.prefix(Int(count)).map(NumericAddress.init))
        }
    }

    func withPacked<Value>(_ body: (UnsafePointer<holdfast_address>) -> Value) -> Value {
        withUnsafePointer(to: self.packed, body)
    }

    var text: SocketAddress {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { host in
            var port: UInt16 = 0
            guard let space = host.baseAddress,
                self.withPacked({ holdfast_address_text($0, space, host.count, &port) }) == 0
            else { return SocketAddress(host: "unknown", port: 0) }
            return SocketAddress(host: String(cString: space), port: port)
        }
    }
}

/// A look-up of a name that ends at its deadline whatever the resolver does. Unchecked for the
/// reason that `EpollLoop` gives: used on its thread only.
final class NameLookup: TimerTarget, @unchecked Sendable {
    var timerPosition = TimerHeap.nowhere
    private var waiter: UnsafeContinuation<[NumericAddress]?, Never>?

    private init() {}

    /// The addresses of `name`. The caller is on `loop`; the resolver blocks a thread of `pool`.
    static func addresses(
        of name: SocketAddress, on loop: EpollLoop, pool: BlockingPool, deadline: Instant
    ) async throws(StreamFault) -> [NumericAddress] {
        let lookup = NameLookup()
        let found = await withUnsafeContinuation { waiter in
            lookup.waiter = waiter
            loop.expect(deadline, lookup)
            pool.submit {
                let found = NumericAddress.resolveBlocking(name)
                loop.execute {
                    loop.disarm(lookup)
                    lookup.end(found)
                }
            }
        }
        guard let found else { throw .deadlineExceeded }
        guard !found.isEmpty else { throw .unreachable(name, errno: EADDRNOTAVAIL) }
        return found
    }

    func timerExpired(at now: Instant) { self.end(nil) }

    private func end(_ found: [NumericAddress]?) {
        let waiter = self.waiter
        self.waiter = nil
        waiter?.resume(returning: found)
    }
}
