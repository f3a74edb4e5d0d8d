import Primitives

/// One question on its way, shared by all who wait for an answer to one asked after they came.
///
/// Who comes while a question is under way cannot use its answer, which may speak of a time before;
/// all of them share the next one. So however many wait there is one question at a time, and nobody
/// waits for more than two.
package struct SharedRounds<Waiter: Sendable>: Sendable {
    /// Whether somebody asks, round after round, until nobody waits.
    private var isAsking = false
    /// Those whom the question under way serves.
    private var served: [Waiter] = []
    private var waiting: [Waiter] = []

    package init() {}

    /// Somebody wants an answer.
    ///
    /// - Returns: whether nobody asks yet: then the caller has to.
    package mutating func join(_ waiter: Waiter) -> Bool {
        self.waiting.append(waiter)
        defer { self.isAsking = true }
        return !self.isAsking
    }

    /// The next question is about to be asked.
    ///
    /// - Returns: false when nobody wants to know any more: then the asking ends.
    package mutating func begin() -> Bool {
        invariant(self.isAsking && self.served.isEmpty, "one question is under way at a time")
        swap(&self.served, &self.waiting)
        self.isAsking = !self.served.isEmpty
        return self.isAsking
    }

    /// The question was answered, or nobody could.
    ///
    /// - Returns: who is to be told.
    package mutating func end() -> [Waiter] {
        defer { self.served = [] }
        return self.served
    }
}
