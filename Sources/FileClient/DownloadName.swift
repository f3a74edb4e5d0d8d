import Primitives

/// Where an object lands below the directory that a download writes to.
package enum DownloadName {
    /// Why an object's key cannot be a path below a directory. Keys are any text, chosen by whoever
    /// may write to the bucket; a key must not choose a place outside the directory.
    package enum Refusal: Error, Equatable, Sendable {
        case outsideFolder
        /// `//`, or a slash at the beginning: the file system would drop it, and another key could
        /// mean the same file.
        case emptySegment
        /// `.` or `..`.
        case dotSegment
        case nulByte
        /// Longer than a file's name may be (255 bytes on Linux).
        case segmentTooLong(sizeBytes: Int)
    }

    package enum Place: Equatable, Sendable {
        case file(String)
        /// A key that ends in `/`: how other tools mark a folder.
        case folder(String)
    }

    package static let segmentLimitBytes = 255

    /// - Parameters:
    ///   - key: the object's key.
    ///   - path: what was asked for. The object of that very key keeps its last name; objects in the
    ///     folder of that name keep what follows the folder's.
    package static func place(of key: String, askedFor path: RemotePath) throws(Refusal) -> Place {
        let key = key.utf8
        if key.elementsEqual(path.key.utf8), key.last != .slash {
            let lastSlash = key.lastIndex(of: .slash)
            return .file(
                try Self.check(key[(lastSlash.map(key.index(after:)) ?? key.startIndex)...]))
        }
        let folder = path.folderPrefix.utf8
        guard key.starts(with: folder) else { throw .outsideFolder }
        let rest = key.dropFirst(folder.count)
        if rest.isEmpty { return .folder("") }
        guard rest.last == .slash else { return .file(try Self.check(rest)) }
        return .folder(try Self.check(rest.dropLast()))
    }

    private static func check(_ name: Substring.UTF8View) throws(Refusal) -> String {
        for segment in name.split(separator: .slash, omittingEmptySubsequences: false) {
            if segment.isEmpty { throw .emptySegment }
            if segment.elementsEqual(".".utf8) || segment.elementsEqual("..".utf8) {
                throw .dotSegment
            }
            if segment.contains(0) { throw .nulByte }
            if segment.count > Self.segmentLimitBytes {
                throw .segmentTooLong(sizeBytes: segment.count)
            }
        }
        return String(Substring(name))
    }
}
