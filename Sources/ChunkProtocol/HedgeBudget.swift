/// How many reads may ask a second copy only because the first is late: a token bucket that each
/// read fills by a twentieth, so that hedges add at most five requests to a hundred. When every
/// store is slow at once, it is load, and asking twice would make it worse (Dean and Barroso, "The
/// Tail at Scale", 2013).
///
/// A copy that failed, or is overdue, is replaced without asking here.
package struct HedgeBudget: Equatable, Sendable {
    /// Hedges that a hundred reads earn.
    package static let percent = 5
    /// Hedges that can be saved up, so that a quiet time does not pay for a storm.
    package static let mostSaved = 10

    /// In hundredths of a hedge.
    private var credit = Self.mostSaved * 100

    package init() {}

    package mutating func readBegan() {
        self.credit = min(self.credit + Self.percent, Self.mostSaved * 100)
    }

    /// Takes what one hedge costs; false where it is not there.
    package mutating func takeHedge() -> Bool {
        guard self.credit >= 100 else { return false }
        self.credit -= 100
        return true
    }
}
