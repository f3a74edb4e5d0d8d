import Primitives

/// A bucket and what lies in it: a key, the beginning of keys, or nothing.
package struct RemotePath: Hashable, Sendable, CustomStringConvertible {
    package let bucket: String
    /// Empty for the bucket itself.
    package let key: String

    /// S3's limit for a key, in bytes of UTF-8.
    package static let keyLimitBytes = 1024

    package init(bucket: String, key: String = "") {
        self.bucket = bucket
        self.key = key
    }

    /// Reads `BUCKET` or `BUCKET/KEY`. Nil when the bucket's name cannot be one (it has three
    /// characters or more) or the key is longer than keys can be.
    package init?(_ text: String) {
        let parts = text.utf8.split(
            separator: .slash, maxSplits: 1, omittingEmptySubsequences: false)
        let bucket = parts[0]
        let key = parts.count > 1 ? parts[1] : "".utf8[...]
        guard bucket.count >= 3, key.count <= Self.keyLimitBytes else { return nil }
        self.init(bucket: String(Substring(bucket)), key: String(Substring(key)))
    }

    /// What the keys of everything in this folder begin with: nothing for the whole bucket.
    package var folderPrefix: String {
        self.key.isEmpty || self.key.utf8.last == .slash ? self.key : self.key + "/"
    }

    /// Whether the key names a folder and cannot name an object in it.
    package var isFolder: Bool { self.key.utf8.last == .slash }

    package var isBucket: Bool { self.key.isEmpty }

    package func with(key: String) -> RemotePath { RemotePath(bucket: self.bucket, key: key) }

    package var description: String {
        self.key.isEmpty ? self.bucket : "\(self.bucket)/\(self.key)"
    }
}

extension UInt8 {
    /// Paths and keys are taken apart byte by byte: as a Swift character a slash may carry accents,
    /// and would then be no slash to us but still be one to the file system.
    static let slash = UInt8(ascii: "/")
}
