import HTTPSyntax
import IORuntime
import Primitives

/// Reads one body off a connection, for the server and the client alike.
final class BodyReader {
    private let messages: MessageStream
    private(set) var decoder: BodyDecoder

    init(_ messages: MessageStream, framing: BodyFraming, limits: HeadLimits) {
        self.messages = messages
        self.decoder = BodyDecoder(framing, limits: limits)
    }

    enum Fault: Error {
        case stream(StreamFault)
        case refused(HTTPRefusal)
    }

    private enum Taken {
        case bytes(Int)
        case end
        case nothingYet
    }

    /// Reads up to the buffer's size; 0 at the end of the body.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, by deadline: Instant
    ) async throws(Fault) -> Int {
        while true {
            switch try self.takeNow(into: buffer).get() {
            case .bytes(let count):
                if self.messages.mustYield { try await self.yield() }
                return count
            case .end: return 0
            case .nothingYet: try await self.wait(by: deadline)
            }
        }
    }

    /// Reads up to `limit` bytes; none at the end of the body.
    func read(upTo limit: Int, by deadline: Instant) async throws(Fault) -> [UInt8] {
        while true {
            if self.decoder.isEnded { return [] }
            let expected = self.decoder.remaining ?? .max
            let capacity = Int(min(UInt64(limit), expected))
            var outcome: Result<Taken, Fault> = .success(.end)
            let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                outcome = self.takeNow(into: UnsafeMutableRawBufferPointer(buffer))
                if case .success(.bytes(let taken)) = outcome { count = taken }
            }
            switch try outcome.get() {
            case .bytes:
                if self.messages.mustYield { try await self.yield() }
                return bytes
            case .end: return []
            case .nothingYet: try await self.wait(by: deadline)
            }
        }
    }

    /// Reads into a part of `bytes`, where they stay; 0 at the end of the body.
    func read(
        into bytes: inout [UInt8], at part: Range<Int>, by deadline: Instant
    ) async throws(Fault) -> Int {
        while true {
            let taken = bytes.withUnsafeMutableBytes {
                self.takeNow(into: UnsafeMutableRawBufferPointer(rebasing: $0[part]))
            }
            switch try taken.get() {
            case .bytes(let count):
                if self.messages.mustYield { try await self.yield() }
                return count
            case .end: return 0
            case .nothingYet: try await self.wait(by: deadline)
            }
        }
    }

    private func yield() async throws(Fault) {
        do throws(StreamFault) { try await self.messages.yield() } catch {
            throw .stream(error)
        }
    }

    private func wait(by deadline: Instant) async throws(Fault) {
        do throws(StreamFault) { try await self.messages.bodyReadable(by: deadline) } catch {
            throw .stream(error)
        }
    }

    /// Takes body bytes that are here already, from the queue or straight from the stream.
    private func takeNow(into buffer: UnsafeMutableRawBufferPointer) -> Result<Taken, Fault> {
        while true {
            let queue = self.messages.received
            switch self.decoder.step(queue.bytes, atMost: buffer.count) {
            case .refused(let refusal): return .failure(.refused(refusal))
            case .end(let consumed):
                queue.consume(consumed)
                return .success(.end)
            case .bytes(let range):
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: queue.bytes[range]))
                queue.consume(range.upperBound)
                self.messages.bodyMoved(range.count)
                return .success(.bytes(range.count))
            case .needMore(let consumed):
                queue.consume(consumed)
                switch self.receive(into: buffer) {
                case .failure(let fault): return .failure(fault)
                case .success(.queued): continue
                case .success(.taken(let taken)): return .success(taken)
                }
            }
        }
    }

    private enum Received {
        /// More framing may be in the queue.
        case queued
        case taken(Taken)
    }

    private func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) -> Result<Received, Fault> {
        let run = self.decoder.run
        let isDirect = run > 0 && self.messages.received.isEmpty
        do throws(StreamFault) {
            let window = UnsafeMutableRawBufferPointer(
                rebasing: buffer.prefix(Int(min(run, UInt64(buffer.count)))))
            let count =
                isDirect ? try self.messages.readNow(into: window) : try self.messages.fillNow()
            guard let count else { return .success(.taken(.nothingYet)) }
            if count == 0 {
                return self.decoder.streamEnded()
                    ? .success(.taken(.end)) : .failure(.stream(.endedEarly))
            }
            guard isDirect else { return .success(.queued) }
            self.decoder.tookRun(count)
            self.messages.bodyMoved(count)
            return .success(.taken(.bytes(count)))
        } catch {
            return .failure(.stream(error))
        }
    }
}
