import IORuntime
import Primitives
import Synchronization

/// The connections of a client: those that lie unused, and how many are in use. All streams belong
/// to one loop.
final class ConnectionPool: Sendable {
    private struct Unused {
        let endpoint: HTTPEndpoint
        let stream: any ByteStream
        let since: Instant
    }

    private struct Waiter {
        let number: UInt64
        let endpoint: HTTPEndpoint
        let continuation: UnsafeContinuation<Bool, Never>
    }

    private struct State {
        /// Oldest first.
        var unused: [Unused] = []
        var inUse: [HTTPEndpoint: Int] = [:]
        /// First come, first served.
        var waiters: [Waiter] = []
        var nextWaiter: UInt64 = 0
    }

    private let loop: any EventLoop
    private let settings: HTTPClientSettings
    private let state = Mutex(State())

    init(_ loop: any EventLoop, _ settings: HTTPClientSettings) {
        self.loop = loop
        self.settings = settings
    }

    /// Takes the right to one connection; whoever has it gives it back with `release`.
    func acquire(_ endpoint: HTTPEndpoint, by deadline: Instant) async throws(HTTPClientFault) {
        let number: UInt64? = try self.state.withLock { state throws(HTTPClientFault) -> UInt64? in
            let inUse = state.inUse[endpoint, default: 0]
            if inUse < self.settings.connectionsPerEndpoint {
                state.inUse[endpoint] = inUse + 1
                return nil
            }
            guard state.waiters.count < self.settings.waitingRequests else {
                throw .tooManyWaiting(limit: self.settings.waitingRequests)
            }
            state.nextWaiter += 1
            return state.nextWaiter
        }
        guard let number else { return }
        let timer = self.loop.spawn {
            do { try await self.loop.sleep(for: deadline - self.loop.now) } catch { return }
            self.giveUp(number)
        }
        let granted = await withUnsafeContinuation { continuation in
            self.wait(Waiter(number: number, endpoint: endpoint, continuation: continuation))
        }
        timer.cancel()
        guard granted else { throw .deadlineExceeded }
    }

    /// Queues a waiter, or resumes it when a connection has become free in between.
    private func wait(_ waiter: Waiter) {
        let isFree = self.state.withLock { state in
            let inUse = state.inUse[waiter.endpoint, default: 0]
            guard inUse < self.settings.connectionsPerEndpoint else {
                state.waiters.append(waiter)
                return false
            }
            state.inUse[waiter.endpoint] = inUse + 1
            return true
        }
        if isFree { waiter.continuation.resume(returning: true) }
    }

    private func giveUp(_ number: UInt64) {
        let waiter = self.state.withLock { state -> Waiter? in
            guard let place = state.waiters.firstIndex(where: { $0.number == number }) else {
                return nil
            }
            return state.waiters.remove(at: place)
        }
        waiter?.continuation.resume(returning: false)
    }

    /// Gives the right to one connection back, and keeps `stream` for the next who asks.
    func release(_ endpoint: HTTPEndpoint, keeping stream: (any ByteStream)?) {
        let now = self.loop.now
        let (waiter, discarded) = self.state.withLock { state -> (Waiter?, [any ByteStream]) in
            if let stream {
                state.unused.append(Unused(endpoint: endpoint, stream: stream, since: now))
            }
            let discarded = self.expire(&state, now: now)
            if let place = state.waiters.firstIndex(where: { $0.endpoint == endpoint }) {
                return (state.waiters.remove(at: place), discarded)
            }
            let left = state.inUse[endpoint, default: 1] - 1
            state.inUse[endpoint] = left == 0 ? nil : left
            return (nil, discarded)
        }
        for stream in discarded { stream.close() }
        waiter?.continuation.resume(returning: true)
    }

    /// A kept connection that the server has not ended in the meantime, the youngest first.
    func reusable(_ endpoint: HTTPEndpoint) -> (any ByteStream)? {
        let now = self.loop.now
        while true {
            let (found, discarded) = self.state.withLock {
                state -> ((any ByteStream)?, [any ByteStream]) in
                let discarded = self.expire(&state, now: now)
                guard let place = state.unused.lastIndex(where: { $0.endpoint == endpoint }) else {
                    return (nil, discarded)
                }
                return (state.unused.remove(at: place).stream, discarded)
            }
            for stream in discarded { stream.close() }
            guard let found else { return nil }
            if Self.isQuiet(found) { return found }
            found.close()
        }
    }

    /// Closes all unused connections.
    func closeUnused() {
        let unused = self.state.withLock { state in
            defer { state.unused = [] }
            return state.unused
        }
        for entry in unused { entry.stream.close() }
    }

    private func expire(_ state: inout State, now: Instant) -> [any ByteStream] {
        var discarded: [any ByteStream] = []
        while let oldest = state.unused.first,
            state.unused.count > self.settings.idleConnections
                || now - oldest.since > self.settings.idleTimeout
        {
            discarded.append(state.unused.removeFirst().stream)
        }
        return discarded
    }

    /// An unused connection on which the server ends the stream, or says anything, is of no use.
    private static func isQuiet(_ stream: any ByteStream) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { buffer in
            do throws(StreamFault) { return try stream.readNow(into: buffer) == nil } catch {
                return false
            }
        }
    }
}
