/// The bounds of what a peer can make us hold before it has said anything.
package struct HeadLimits: Equatable, Sendable {
    /// The request or status line with its CRLF; over it: 414.
    package var startLineBytes: Int
    /// The whole head with its empty line; over it: 431. At most 65,535.
    package var headBytes: Int
    /// Over it: 431.
    package var fieldCount: Int
    /// The line that gives a chunk's size, with its extensions and CRLF; over it: 400.
    package var chunkLineBytes: Int
    /// By how much the lines of chunks may outweigh twice their bytes, over a whole body; over it: 400.
    package var chunkExcessBytes: Int
    /// The trailers of a chunked body with their empty line; over it: 431. At most 65,535.
    package var trailerBytes: Int

    package init(
        startLineBytes: Int = 16_384, headBytes: Int = 65_535, fieldCount: Int = 100,
        chunkLineBytes: Int = 1024, chunkExcessBytes: Int = 16_384, trailerBytes: Int = 16_384
    ) {
        self.startLineBytes = startLineBytes
        self.headBytes = min(headBytes, Int(UInt16.max))
        self.fieldCount = fieldCount
        self.chunkLineBytes = chunkLineBytes
        self.chunkExcessBytes = chunkExcessBytes
        self.trailerBytes = min(trailerBytes, Int(UInt16.max))
    }
}
