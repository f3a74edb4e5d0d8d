import ChunkProtocol
import ChunkStore
import PeerTransport
import Primitives
import SimulatedRuntime
import StoreNode
import Testing
import Wire

struct StoreNodeTests {
    private let peer = NodeID(2)

    private func head(_ answer: PeerAnswer) throws(FormatFault) -> [UInt8] {
        guard case .response(let response) = answer else {
            throw FormatFault.invalid(field: "answer", offset: 0)
        }
        return response.head
    }

    @Test func `a chunk travels in and out through calls`() {
        let machine = StoreMachine()
        machine.run { store in
            let node = StoreNode(store: store)
            let chunk = TestChunk(1, plainBytes: 100_000)
            let put = PeerRequest(
                kind: StoreCallKind.putChunk, head: chunk.request.encoded, body: chunk.body)
            let stored = await node.answer(put, from: self.peer)
            #expect(try self.head(stored) == PutChunkAnswer.stored.encoded)

            let read = PeerRequest(
                kind: StoreCallKind.readChunk,
                head: ReadChunkRequest(name: chunk.name, frames: 1..<2).encoded)
            let found = await node.answer(read, from: self.peer)
            let expected = PeerResponse(
                head: chunk.found(frames: 1..<2).encoded,
                body: [chunk.sealed(frames: 1..<2)])
            let isFound = found == .response(expected)
            #expect(isFound)

            let status = await node.answer(
                PeerRequest(kind: StoreCallKind.status, head: []), from: self.peer)
            let said = try StoreStatus(decoding: self.head(status))
            #expect(said.chunks == 1)
        }
    }

    @Test func `a body of another length than stated is refused, and unknown calls are`() {
        let machine = StoreMachine()
        machine.run { store in
            let node = StoreNode(store: store)
            let chunk = TestChunk(1)
            let short = PeerRequest(
                kind: StoreCallKind.putChunk, head: chunk.request.encoded,
                body: [Array(chunk.sealed.dropLast())])
            guard
                case .refused(StoreNode.Refusal.malformed, _) =
                    await node.answer(short, from: self.peer)
            else { Issue.record("a short body was taken"); return }
            guard
                case .refused(StoreNode.Refusal.unknownKind, _) =
                    await node.answer(PeerRequest(kind: 0x02ff, head: []), from: self.peer)
            else { Issue.record("an unknown call was answered"); return }
            #expect(await store.status().chunks == 0)
        }
    }

    @Test func `no head makes a store trap, and a changed one never stores under the name`() {
        let machine = StoreMachine()
        machine.run { store in
            let node = StoreNode(store: store)
            var generator = SeededGenerator(seed: 5)
            let chunk = TestChunk(1)
            let kinds = [StoreCallKind.putChunk, StoreCallKind.readChunk, 0x0203]
            for round in 0..<1500 {
                var head = chunk.request.encoded
                if round % 2 == 0 {
                    // All but the slot (bytes 17 and 18), which the body cannot prove.
                    let position = generator.below(head.count - 2)
                    head[position < 17 ? position : position + 2] ^=
                        UInt8(1 + generator.below(255))
                } else {
                    head = generator.bytes(generator.below(60))
                }
                let request = PeerRequest(
                    kind: kinds[round % 3], head: head, body: [chunk.sealed])
                _ = await node.answer(request, from: self.peer)
            }
            #expect(await store.read(chunk).0 == .missing)
        }
    }
}
