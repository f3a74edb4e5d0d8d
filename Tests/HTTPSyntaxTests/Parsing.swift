import HTTPSyntax

/// What a whole stream of requests comes to, however its bytes are cut: the text of each head and
/// body, and how it ended.
struct Reading: Equatable {
    var requests: [String] = []
    var refusal: HTTPRefusal?
    /// Bytes that belong to no finished message.
    var leftover = 0
}

/// Feeds `stream` in pieces that end at `cuts`, as a connection would.
func read(_ stream: [UInt8], cuts: [Int], limits: HeadLimits = HeadLimits()) -> Reading {
    var reading = Reading()
    var held: [UInt8] = []
    var start = 0
    var parser = RequestParser(limits: limits)
    var decoder: BodyDecoder?
    var text = ""
    for cut in cuts + [stream.count] {
        held += stream[start..<cut]
        start = cut
        while true {
            let used = held.withUnsafeBytes { bytes -> Int? in
                if decoder == nil {
                    switch parser.parse(bytes) {
                    case .needMore: return nil
                    case .refused(let refusal):
                        reading.refusal = refusal
                        return nil
                    case .head(let head, let consumed):
                        text = describe(head)
                        decoder = BodyDecoder(head.framing, limits: limits)
                        return consumed
                    }
                }
                switch decoder?.step(bytes) {
                case nil: return nil
                case .refused(let refusal):
                    reading.refusal = refusal
                    return nil
                case .needMore(let consumed): return consumed == 0 ? nil : consumed
                case .bytes(let range):
                    text += String(decoding: bytes[range], as: UTF8.self)
                    return range.upperBound
                case .end(let consumed):
                    if let trailers = decoder?.trailers {
                        for index in 0..<trailers.count { text += describe(trailers, index) }
                    }
                    reading.requests.append(text)
                    decoder = nil
                    return consumed
                }
            }
            guard let used else { break }
            held.removeFirst(used)
            if used == 0, held.isEmpty { break }
        }
        if reading.refusal != nil { return reading }
    }
    reading.leftover = held.count
    return reading
}

func read(_ stream: String) -> Reading { read(Array(stream.utf8), cuts: []) }

func describe(_ head: RequestHead) -> String {
    var text = "\(head.method) \(string(head.target))|\(string(head.path))|"
    text += head.query.map(string) ?? "-"
    text += "|\(head.host.map(string) ?? "-") 1.\(head.minorVersion) \(head.framing)"
    text += head.keepsAlive ? " keeps" : " closes"
    for index in 0..<head.fields.count { text += describe(head.fields, index) }
    return text + "\n"
}

private func describe(_ fields: Fields, _ index: Int) -> String {
    "[\(string(fields.name(at: index)))=\(string(fields.value(at: index)))]"
}

func string(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

func parse(_ text: String) -> RequestParser.Outcome {
    var parser = RequestParser()
    return Array(text.utf8).withUnsafeBytes { parser.parse($0) }
}

func requestHead(_ text: String) -> RequestHead? {
    guard case .head(let head, _) = parse(text) else { return nil }
    return head
}

func refusal(_ text: String) -> HTTPRefusal? { read(text).refusal }
