import Primitives

/// One file on its way up.
package struct PlannedUpload: Hashable, Sendable {
    package let path: String
    package let key: String
    /// When the plan was made.
    package let sizeBytes: UInt64

    package init(path: String, key: String, sizeBytes: UInt64) {
        self.path = path
        self.key = key
        self.sizeBytes = sizeBytes
    }
}

/// Which file becomes which object. Keeps two files from becoming one object.
package struct UploadPlan: Sendable {
    /// Why a file has no place in the plan.
    package enum Refusal: Error, Equatable, Sendable {
        /// Two files would have the same key, and the second would replace the first.
        case sameKey(String, first: String, second: String)
        case keyTooLong(path: String, sizeBytes: Int)
        /// The name is not UTF-8, or empty.
        case unusableName(path: String)
    }

    private let destination: RemotePath
    /// Whether a single file was named and nothing else, so that the destination may be its key.
    private let isSingleFile: Bool
    private var pathsByKeyBytes: [[UInt8]: String] = [:]
    package private(set) var uploads: [PlannedUpload] = []
    package private(set) var totalBytes: UInt64 = 0

    package init(to destination: RemotePath, isSingleFile: Bool) {
        self.destination = destination
        self.isSingleFile = isSingleFile
    }

    /// A file that was named itself: it keeps its name below the destination, or, when it is the
    /// only source and the destination does not end in `/`, gets the destination as its key.
    package mutating func add(file path: String, sizeBytes: UInt64) throws(Refusal) {
        let takesKey =
            self.isSingleFile && !self.destination.isBucket && !self.destination.isFolder
        let key =
            takesKey
            ? self.destination.key : self.destination.folderPrefix + Self.lastComponent(of: path)
        try self.add(path: path, key: key, sizeBytes: sizeBytes)
    }

    /// A file found in a folder that was named: the folder's content lies below the destination,
    /// without the folder's own name. `relative` is the file's path in the folder.
    package mutating func add(
        fileInFolder relative: String, path: String, sizeBytes: UInt64
    ) throws(Refusal) {
        try self.add(
            path: path, key: self.destination.folderPrefix + relative, sizeBytes: sizeBytes)
    }

    private mutating func add(path: String, key: String, sizeBytes: UInt64) throws(Refusal) {
        // A name that is not UTF-8 was read with replacement characters: it cannot be found again.
        guard !key.isEmpty, key.utf8.last != .slash, !path.unicodeScalars.contains("\u{FFFD}")
        else {
            throw .unusableName(path: path)
        }
        guard key.utf8.count <= RemotePath.keyLimitBytes else {
            throw .keyTooLong(path: path, sizeBytes: key.utf8.count)
        }
        // Bytes, because strings are equal when they look the same, and names of files are not.
        let bytes = Array(key.utf8)
        if let first = self.pathsByKeyBytes[bytes] {
            throw .sameKey(key, first: first, second: path)
        }
        self.pathsByKeyBytes[bytes] = path
        self.uploads.append(PlannedUpload(path: path, key: key, sizeBytes: sizeBytes))
        self.totalBytes += sizeBytes
    }

    static func lastComponent(of path: String) -> String {
        path.utf8.split(separator: .slash).last.map { String(Substring($0)) } ?? ""
    }
}
