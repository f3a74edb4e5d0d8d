/// What a client does while machines die: short, so that every step of it can be one's last.
package enum CrashStory: String, Sendable, CaseIterable {
    /// New objects: one of several chunks, one that rests in metadata.
    case put
    /// A large object takes the place of a large one, a small one that of a large, and the other
    /// way round.
    case overwrite
    case delete
    /// An object is copied and outlived by its copy; another takes the place of a small one.
    case copy
    /// An object comes in parts, one of them twice.
    case upload
    /// One body of more chunks than one row may name.
    case long
    /// Objects are deleted and replaced, and told of until no store holds anything of them.
    case reclaim
}

/// One request of a story, about the object of a key.
enum ClientAct: Sendable {
    case put(String, sizeBytes: Int)
    /// Parts of these sizes in this order, numbered from 1; then the last one again.
    case upload(String, partBytes: [Int])
    case delete(String)
    /// The source is one that was acknowledged.
    case copy(String, to: String)
    /// Waits until stores hold nothing that no object names.
    case awaitReclaim
}

extension CrashStory {
    /// Several chunks of the simulated clusters' size, the last one short.
    private static let largeBytes = 600_000
    /// Rests in metadata.
    private static let smallBytes = 1000
    /// More than 64 of the chunks that `long` is told with.
    private static let longBytes = 4_300_000

    /// No object is larger.
    static let mostBytes = 8 << 20

    /// Into what bodies are cut.
    var chunkBytes: Int {
        switch self {
        case .put, .overwrite, .delete, .copy, .upload, .reclaim: 256 << 10
        case .long: 64 << 10
        }
    }

    /// What is there before the first death may come.
    var prelude: [ClientAct] {
        switch self {
        case .put, .long: [.put("kept", sizeBytes: Self.largeBytes)]
        case .overwrite, .delete, .copy, .upload, .reclaim:
            [
                .put("kept", sizeBytes: Self.largeBytes),
                .put("large", sizeBytes: Self.largeBytes),
                .put("small", sizeBytes: Self.smallBytes),
            ]
        }
    }

    /// What is done while machines may die.
    var acts: [ClientAct] {
        switch self {
        case .put:
            [
                .put("large", sizeBytes: Self.largeBytes),
                .put("small", sizeBytes: Self.smallBytes),
            ]
        case .overwrite:
            [
                .put("large", sizeBytes: Self.largeBytes / 2),
                .put("large", sizeBytes: Self.smallBytes),
                .put("small", sizeBytes: Self.largeBytes),
            ]
        case .delete: [.delete("large"), .delete("small")]
        case .copy:
            [.copy("kept", to: "copy"), .delete("kept"), .copy("large", to: "small")]
        case .upload: [.upload("large", partBytes: [Self.largeBytes / 2, Self.smallBytes])]
        case .long: [.put("long", sizeBytes: Self.longBytes)]
        case .reclaim:
            [.delete("large"), .put("kept", sizeBytes: Self.smallBytes), .awaitReclaim]
        }
    }
}
