import Primitives

/// Which object becomes which when an object, and the folder of its name, are copied.
package struct CopyPlan: Equatable, Sendable {
    package let source: RemotePath
    package let destination: RemotePath

    package init(from source: RemotePath, to destination: RemotePath) {
        self.source = source
        self.destination = destination
    }

    /// Whether the folder's copy would have to hold itself.
    package var isIntoItself: Bool {
        self.source.bucket == self.destination.bucket
            && self.destination.folderPrefix.utf8.starts(with: self.source.folderPrefix.utf8)
    }

    /// The object of the source's own key keeps its last name below a destination that is a bucket
    /// or ends in `/`, else it gets the destination's key. Objects in the folder keep what follows
    /// the folder's name. Nil for keys of neither.
    package func place(of key: String) -> RemotePath? {
        if key.utf8.elementsEqual(self.source.key.utf8), !self.source.isFolder {
            guard self.destination.isBucket || self.destination.isFolder else {
                return self.destination
            }
            let name = key.utf8.split(separator: .slash).last.map { String(Substring($0)) } ?? ""
            return self.destination.with(key: self.destination.folderPrefix + name)
        }
        let folder = self.source.folderPrefix.utf8
        guard key.utf8.starts(with: folder) else { return nil }
        let rest = String(Substring(key.utf8.dropFirst(folder.count)))
        return self.destination.with(key: self.destination.folderPrefix + rest)
    }

    /// What filters look at: the name of the object itself, or its path below the folder.
    package static func filteredName(of key: String, below path: RemotePath) -> String {
        let folder = path.folderPrefix.utf8
        if key.utf8.starts(with: folder) {
            return String(Substring(key.utf8.dropFirst(folder.count)))
        }
        return key.utf8.split(separator: .slash).last.map { String(Substring($0)) } ?? key
    }
}
