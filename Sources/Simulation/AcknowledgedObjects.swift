import Catalog

/// What each object may hold by what a client was told that does one thing after the other: the
/// model that a cluster is compared with when everything is mended.
struct AcknowledgedObjects {
    /// The number of a body; nil where there is no object.
    typealias Content = UInt64?

    private struct Knowledge {
        /// What it holds by the last answer.
        var told: [Content] = [nil]
        /// What requests without an answer would make of it, now or later.
        var pending: [Content] = []
    }

    private var objects: [ObjectKey: Knowledge] = [:]

    var keys: [ObjectKey] { self.objects.keys.sorted() }

    /// The client was told that the object holds this now.
    mutating func acknowledged(_ key: ObjectKey, _ content: Content) {
        self.objects[key, default: Knowledge()].told = [content]
    }

    /// Nobody told the client whether the object holds this now.
    mutating func unanswered(_ key: ObjectKey, _ content: Content) {
        self.objects[key, default: Knowledge()].pending.append(content)
    }

    /// All that the object may hold.
    func possible(_ key: ObjectKey) -> [Content] {
        let knowledge = self.objects[key] ?? Knowledge()
        return knowledge.told + knowledge.pending
    }

    /// What was read when nothing was under way any more. False where it cannot be; otherwise every
    /// later read must find the same.
    mutating func settled(_ key: ObjectKey, _ content: Content) -> Bool {
        let isPossible = self.possible(key).contains(content)
        self.objects[key] = Knowledge(told: [content])
        return isPossible
    }
}
