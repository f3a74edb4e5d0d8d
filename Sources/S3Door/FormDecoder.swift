import ObjectExchange
import Primitives

/// Reads a `multipart/form-data` body (RFC 7578) as browsers send it to POST Object: some fields,
/// then one file, whatever is behind which is not looked at.
///
/// Bytes go in as they come; what is held of them is bounded by `fieldsLimitBytes` before the file,
/// and by a delimiter's length within it.
package struct FormDecoder: Sendable {
    package enum Event: Equatable, Sendable {
        /// The name is in lower case.
        case field(name: String, value: [UInt8])
        /// The file's bytes follow.
        case fileBegan(name: String)
        case fileBytes([UInt8])
        case fileEnded
        /// Call `take` and try again.
        case needsMore
    }

    private enum Place {
        case preamble
        /// Right behind a delimiter, which the end mark or a line end follows.
        case delimiter
        case partHead
        case field(name: String)
        case file
        /// Behind the delimiter that ended the file.
        case fileDelimiter
        case ended
    }

    /// Everything before the file's bytes (Amazon S3, "POST Object": 20 KB).
    package static let fieldsLimitBytes = 20 << 10
    /// RFC 2046 §5.1.1.
    private static let boundaryBytes = 1...70

    /// `CRLF--boundary`.
    private let delimiter: [UInt8]
    private var place = Place.preamble
    /// Not read yet; it begins at `position`.
    private var bytes: [UInt8]
    private var position = 0
    /// Taken before the file began.
    private var headBytes = 0

    /// Nil for another content type, and for one without a boundary.
    package init?(contentType: ArraySlice<UInt8>) {
        guard let text = String(validating: contentType, as: UTF8.self) else { return nil }
        let pieces = FormParameters(text)
        guard pieces.value == "multipart/form-data", let boundary = pieces["boundary"],
            Self.boundaryBytes.contains(boundary.utf8.count)
        else { return nil }
        self.delimiter = Array("\r\n--\(boundary)".utf8)
        // The first delimiter may stand at the very beginning, without the line end before it.
        self.bytes = [0x0d, 0x0a]
    }

    /// Adds what came; to be called when `next` has said that it needs more.
    package mutating func take(_ bytes: [UInt8]) {
        self.bytes.removeFirst(self.position)
        self.position = 0
        self.bytes += bytes
    }

    package mutating func next() throws(S3Refusal) -> Event {
        while true {
            guard self.headBytes <= Self.fieldsLimitBytes else {
                throw S3Refusal(.formFieldsTooLarge)
            }
            switch self.place {
            case .preamble:
                guard let start = self.findDelimiter() else { return try self.moreFields() }
                self.pass(start + self.delimiter.count)
                self.place = .delimiter
            case .delimiter:
                guard let isLast = try self.readMark() else { return try self.moreFields() }
                guard !isLast else {
                    throw S3Refusal(
                        .invalidArgument, "POST requires exactly one file upload per request.")
                }
                self.place = .partHead
            case .partHead:
                guard let end = self.find([0x0d, 0x0a, 0x0d, 0x0a]) else {
                    return try self.moreFields()
                }
                let head = self.bytes[self.position..<end]
                self.pass(end + 4)
                if let event = try self.begin(head) { return event }
            case .field(let name):
                guard let end = self.findDelimiter() else { return try self.moreFields() }
                let value = Array(self.bytes[self.position..<end])
                self.pass(end + self.delimiter.count)
                self.place = .delimiter
                return .field(name: name, value: value)
            case .file: return self.fileBytes()
            case .fileDelimiter:
                guard try self.readMark() != nil else { return .needsMore }
                self.place = .ended
            case .ended: return .fileEnded
            }
        }
    }

    // MARK: Pieces

    /// Whether the end mark stands behind a delimiter; nil when more is needed to know.
    private mutating func readMark() throws(S3Refusal) -> Bool? {
        let mark = self.bytes[self.position...].prefix(2)
        guard mark.count == 2 else { return nil }
        self.pass(mark.endIndex)
        if mark.elementsEqual("--".utf8) { return true }
        guard mark.elementsEqual([0x0d, 0x0a]) else { throw S3Refusal(.malformedForm) }
        return false
    }

    private mutating func begin(_ head: ArraySlice<UInt8>) throws(S3Refusal) -> Event? {
        guard let text = String(validating: head, as: UTF8.self) else {
            throw S3Refusal(.malformedForm)
        }
        let lines = text.utf8.split(separator: 0x0a).map {
            Substring($0.last == 0x0d ? $0.dropLast() : $0)
        }
        let disposition =
            lines.lazy.map { FormParameters(field: $0) }
            .first { $0?.name == "content-disposition" } ?? nil
        guard let disposition, disposition.value == "form-data", let name = disposition["name"]
        else { throw S3Refusal(.malformedForm) }
        if name.lowercased() == "file" {
            self.place = .file
            return .fileBegan(name: disposition["filename"] ?? "")
        }
        self.place = .field(name: name.lowercased())
        return nil
    }

    private mutating func fileBytes() -> Event {
        if let end = self.findDelimiter() {
            let bytes = Array(self.bytes[self.position..<end])
            self.pass(end + self.delimiter.count)
            self.place = .fileDelimiter
            return .fileBytes(bytes)
        }
        // What could be the beginning of a delimiter waits.
        let safe = max(self.position, self.bytes.count - self.delimiter.count + 1)
        guard safe > self.position else { return .needsMore }
        let bytes = Array(self.bytes[self.position..<safe])
        self.pass(safe)
        return .fileBytes(bytes)
    }

    private mutating func pass(_ position: Int) {
        switch self.place {
        case .preamble, .delimiter, .partHead, .field: self.headBytes += position - self.position
        case .file, .fileDelimiter, .ended: break
        }
        self.position = position
    }

    private func moreFields() throws(S3Refusal) -> Event {
        guard self.headBytes + self.bytes.count - self.position <= Self.fieldsLimitBytes else {
            throw S3Refusal(.formFieldsTooLarge)
        }
        return .needsMore
    }

    private func findDelimiter() -> Int? { self.find(self.delimiter) }

    /// Where `pattern`, which begins with a carriage return, stands first.
    private func find(_ pattern: [UInt8]) -> Int? {
        self.bytes.withUnsafeBufferPointer { bytes in
            var at = self.position
            while at + pattern.count <= bytes.count {
                if bytes[at] == 0x0d, bytes[at..<at + pattern.count].elementsEqual(pattern) {
                    return at
                }
                at += 1
            }
            return nil
        }
    }
}

/// A field's value with its parameters (RFC 9110 §5.6.6, as browsers write them for forms): quoted
/// values in which a quote is `%22` or `\"`.
struct FormParameters {
    /// In lower case; empty where only a value was read.
    let name: String
    /// In lower case.
    let value: String
    private var parameters: [(name: String, value: String)] = []

    /// A whole field line; nil when it is none.
    init?(field line: Substring) {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        self.init(
            String(line[line.utf8.index(after: colon)...]),
            of: line[..<colon].lowercased())
    }

    init(_ text: String, of name: String = "") {
        self.name = name
        var rest = Substring(text).utf8
        self.value = Self.trimmed(Self.takePiece(of: &rest)).lowercased()
        while !rest.isEmpty {
            let piece = Self.takePiece(of: &rest)
            guard let equals = piece.utf8.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = Self.trimmed(piece[..<equals]).lowercased()
            let value = Self.trimmed(piece[piece.utf8.index(after: equals)...])
            self.parameters.append((name, Self.unquoted(value)))
        }
    }

    /// The value of the parameter of this name.
    subscript(_ name: String) -> String? {
        self.parameters.first { $0.name == name }?.value
    }

    /// What stands before the next semicolon outside quotes.
    private static func takePiece(of rest: inout Substring.UTF8View) -> Substring {
        var isQuoted = false
        var isEscaped = false
        var end = rest.endIndex
        for index in rest.indices {
            let byte = rest[index]
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\"), isQuoted {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == UInt8(ascii: ";"), !isQuoted {
                end = index
                break
            }
        }
        let piece = Substring(rest[..<end])
        rest = end == rest.endIndex ? rest[end...] : rest[rest.index(after: end)...]
        return piece
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    private static func unquoted(_ text: Substring) -> String {
        guard text.utf8.count >= 2, text.first == "\"", text.last == "\"" else {
            return String(text)
        }
        var plain = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\", !isEscaped {
                isEscaped = true
            } else {
                // A path of old browsers on Windows keeps its backslashes.
                if isEscaped, character != "\"", character != "\\" { plain.append("\\") }
                plain.append(character)
                isEscaped = false
            }
        }
        return plain.replacing("%22", with: "\"")
    }
}
