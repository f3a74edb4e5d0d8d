import ChunkProtocol
import ChunkStore
import PeerTransport
import Primitives
import Wire

/// The store role of a node: a chunk store behind the peer protocol.
///
/// It does what it is told by nodes of its own cluster (the transport has proven who calls), holds
/// sealed bytes that it cannot read, and decides nothing.
package struct StoreNode: Sendable {
    private let store: ChunkStore

    package init(store: ChunkStore) { self.store = store }

    /// Why a call was refused; raw values are for ever.
    package enum Refusal {
        package static let malformed: UInt16 = 0x0201
        package static let unknownKind: UInt16 = 0x0202
    }

    package func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        do throws(FormatFault) {
            switch request.kind {
            case StoreCallKind.putChunk:
                let put = try PutChunkRequest(decoding: request.head)
                let sent = request.body.reduce(0) { $0 + $1.count }
                guard sent == put.sealedBytes else {
                    throw .invalid(field: "body of \(sent) bytes", offset: 0)
                }
                let answer = await self.store.put(put, request.body)
                return .response(PeerResponse(head: answer.encoded))
            case StoreCallKind.readChunk:
                let read = try ReadChunkRequest(decoding: request.head)
                let (answer, frames) = await self.store.read(read)
                return .response(
                    PeerResponse(head: answer.encoded, body: frames.isEmpty ? [] : [frames]))
            case StoreCallKind.status:
                return .response(PeerResponse(head: await self.store.status().encoded))
            default:
                return .refused(
                    code: Refusal.unknownKind,
                    message: "a store does not answer calls of kind \(request.kind)")
            }
        } catch {
            return .refused(
                code: Refusal.malformed, message: "call of kind \(request.kind): \(error)")
        }
    }
}
