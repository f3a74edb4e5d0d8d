import Cryptography
import IORuntime
import Primitives

/// The key ring's file on several meta nodes, as the commands of an operator change it. All of them
/// are to hold the same; a command that stopped half-way is finished by the next.
package struct MasterKeyFiles: Sendable {
    private struct Held: Sendable {
        let path: String
        var ring: MasterKeyRing
    }

    private var held: [Held]

    /// Reads the files below identity directories; nodes without the meta role have none. Blocking.
    package init(
        identityDirectories: [String], _ files: any FileSystem
    ) throws(MasterKeyFilesFault) {
        var held: [Held] = []
        for directory in identityDirectories {
            let path = directory + "/" + NodeIdentity.File.masterKeys
            let isIdentity: Bool
            var bytes: [UInt8]?
            do throws(FileFault) {
                let configuration = directory + "/" + NodeIdentity.File.configuration
                isIdentity = try files.status(configuration) != nil
                if try files.status(path) != nil { bytes = try files.contents(of: path) }
            } catch { throw .file("\(error)") }
            guard isIdentity else { throw .noIdentity(directory) }
            guard let bytes else { continue }
            do throws(MasterKeyRing.Fault) {
                let ring = try MasterKeyRing(text: String(decoding: bytes, as: UTF8.self))
                held.append(Held(path: path, ring: ring))
            } catch { throw .unreadable(path, error) }
        }
        guard !held.isEmpty else { throw .noKeys }
        self.held = held
    }

    /// The keys of all files together, oldest first.
    package var keys: [MasterKey] {
        var keys: [MasterKey] = []
        for held in self.held {
            for (place, key) in held.ring.keys.enumerated()
            where !keys.contains(where: { $0.id == key.id }) {
                // Behind what stands before it in this file.
                let before = held.ring.ids[..<place]
                let position = keys.lastIndex { before.contains($0.id) }.map { $0 + 1 }
                keys.insert(key, at: position ?? keys.count)
            }
        }
        return keys
    }

    package var paths: [String] { self.held.map(\.path) }

    private var areEqual: Bool { self.held.allSatisfy { $0.ring.ids == self.held[0].ring.ids } }

    package enum Rotation: Equatable, Sendable {
        /// A new key stands in all files.
        case added(MasterKeyID)
        /// The files were not the same, as a command leaves them that stops half-way. Now they are,
        /// and this is their youngest key; none was made.
        case completed(MasterKeyID)
    }

    /// Adds a new key to every file, or makes the files the same where they are not. Blocking.
    package mutating func rotate(
        randomness: (Int) -> [UInt8], _ files: any FileSystem
    ) throws(MasterKeyFilesFault) -> Rotation {
        guard self.areEqual else {
            guard let ring = MasterKeyRing(self.keys) else { throw .tooManyKeys }
            try self.write(ring, files)
            return .completed(ring.newest.id)
        }
        guard let key = SymmetricKey(bytes: randomness(SymmetricKey.sizeBytes)) else {
            brokenInvariant("randomness comes in the size that was asked for")
        }
        let master = MasterKey(key)
        guard let ring = self.held[0].ring.adding(master) else { throw .tooManyKeys }
        try self.write(ring, files)
        return .added(master.id)
    }

    /// Removes a key from every file that has it; whoever asks has seen that group 0 has retired it.
    /// Blocking.
    package mutating func drop(
        _ id: MasterKeyID, _ files: any FileSystem
    ) throws(MasterKeyFilesFault) {
        guard self.keys.contains(where: { $0.id == id }) else { throw .unknownKey(id) }
        for place in self.held.indices where self.held[place].ring[id] != nil {
            guard let rest = self.held[place].ring.dropping(id) else {
                throw .onlyKey(self.held[place].path)
            }
            try self.replace(place, rest, files)
        }
    }

    private mutating func write(
        _ ring: MasterKeyRing, _ files: any FileSystem
    ) throws(MasterKeyFilesFault) {
        for place in self.held.indices where self.held[place].ring.ids != ring.ids {
            try self.replace(place, ring, files)
        }
    }

    private mutating func replace(
        _ place: Int, _ ring: MasterKeyRing, _ files: any FileSystem
    ) throws(MasterKeyFilesFault) {
        do throws(FileFault) {
            try files.replace(self.held[place].path, with: Array(ring.text.utf8))
        } catch { throw .file("\(error)") }
        self.held[place].ring = ring
    }
}

/// Why the files of master keys were not changed, or not all of them.
package enum MasterKeyFilesFault: Error, Equatable, Sendable, CustomStringConvertible {
    case noIdentity(String)
    case unreadable(String, MasterKeyRing.Fault)
    /// None of the identities is a meta node's.
    case noKeys
    case tooManyKeys
    case unknownKey(MasterKeyID)
    case onlyKey(String)
    case file(String)

    package var description: String {
        switch self {
        case .noIdentity(let directory): "\(directory) is no identity directory"
        case .unreadable(let path, let fault): "\(path): \(fault)"
        case .noKeys: "none of these nodes has the meta role, so none holds master keys"
        case .tooManyKeys:
            "a ring holds at most \(MasterKeyRing.mostKeys) keys: drop those that are retired first"
        case .unknownKey(let id): "no key \(id) is held here"
        case .onlyKey(let path): "\(path) holds no other key"
        case .file(let reason): reason
        }
    }
}
