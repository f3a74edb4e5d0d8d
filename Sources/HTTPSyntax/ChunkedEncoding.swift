/// Writes the chunked transfer coding (RFC 9112 §7.1) around body bytes that lie elsewhere.
package enum ChunkedEncoding {
    /// Goes before a chunk of `count` bytes, which must not be zero: that would be the last one.
    package static func appendPrefix(ofChunk count: Int, to output: inout [UInt8]) {
        var shift = max(0, (Int.bitWidth - count.leadingZeroBitCount + 3) / 4 - 1) * 4
        while shift >= 0 {
            let digit = UInt8(count >> shift & 15)
            output.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            shift -= 4
        }
        output.append(contentsOf: Self.chunkEnd)
    }

    /// Goes behind each chunk's bytes.
    package static let chunkEnd: [UInt8] = [ByteClass.carriageReturn, ByteClass.lineFeed]

    /// The last chunk, the trailers and the empty line.
    package static func appendEnd(trailers: FieldBlock = FieldBlock(), to output: inout [UInt8]) {
        output.append(UInt8(ascii: "0"))
        output.append(contentsOf: Self.chunkEnd)
        output.append(contentsOf: trailers.bytes)
        output.append(contentsOf: Self.chunkEnd)
    }
}
