import CLinux
import Glibc
import Primitives

/// The signals that we send and catch.
package enum ProcessSignal: Int32, Sendable, CaseIterable {
    case hangUp = 1
    case interrupt = 2
    case quit = 3
    case kill = 9
    case user1 = 10
    case user2 = 12
    case terminate = 15
    case `continue` = 18
    case stop = 19
}

/// Signals that reach this process, one after the other, on a loop. While a stream is open its
/// signals no longer do what they do by default; a later stream for the same signal takes it over.
package final class SignalStream: Sendable {
    private let loop: EpollLoop
    private let signals: [ProcessSignal]
    private let reader: Descriptor
    private let writer: Int32

    /// A pipe, because a handler may write(2) and little else (signal-safety(7)).
    fileprivate init(
        _ signals: [ProcessSignal], on loop: EpollLoop
    ) throws(StreamFault) {
        var (reader, writer): (Int32, Int32) = (-1, -1)
        let made = holdfast_pipe(&reader, &writer)
        guard made == 0 else { throw .system(call: "pipe2", errno: -made) }
        self.loop = loop
        self.signals = signals
        self.writer = writer
        do throws(StreamFault) { self.reader = try Descriptor(adopting: reader, on: loop) } catch {
            Glibc.close(writer)
            throw error
        }
        for signal in signals {
            let caught = holdfast_catch_signal(signal.rawValue, writer)
            invariant(caught == 0, "\(signal) can be caught (error \(-caught))")
        }
    }

    deinit {
        self.close()
        Glibc.close(self.writer)
    }

    /// The next signal; nil after `close`. One caller at a time.
    package func next() async -> ProcessSignal? {
        await self.loop.run {
            var byte: UInt8 = 0
            while true {
                do throws(StreamFault) {
                    try await self.reader.ready(.reading, by: .never)
                } catch { return nil }
                switch Glibc.read(self.reader.number, &byte, 1) {
                case 1: if let signal = ProcessSignal(rawValue: Int32(byte)) { return signal }
                default: self.reader.wouldBlock(.reading)
                }
            }
        }
    }

    /// Gives the signals their default meaning again.
    package func close() {
        for signal in self.signals { _ = holdfast_release_signal(signal.rawValue, self.writer) }
        self.reader.close()
    }
}

extension RealEnvironment {
    /// Catches `signals`, which arrive at the stream from now on.
    package func catchSignals(
        _ signals: [ProcessSignal]
    ) async throws(StreamFault) -> SignalStream {
        let loop = self.ours(self.loops[0])
        return try await loop.run { () async throws(StreamFault) -> SignalStream in
            try SignalStream(signals, on: loop)
        }
    }

    /// Waits for the first of `signals`, which mean what they mean by default again afterwards.
    package func awaitSignal(
        _ signals: [ProcessSignal] = [.terminate, .interrupt]
    ) async throws(StreamFault) -> ProcessSignal {
        let stream = try await self.catchSignals(signals)
        defer { stream.close() }
        guard let signal = await stream.next() else { throw .closed }
        return signal
    }
}
