internal import Primitives

/// Copies that go by way of others: `a` gives to `b` in one piece and `b` to `c` in another, where
/// no piece lets `a` give to `c`. Each costs a copy more than the direct way.
extension LayoutRebuild {
    private struct Step {
        let piece: Int
        let donor: Int
        let taker: Int
    }

    /// Brings partitions to a member that is short, by the shortest chain from one that can give;
    /// false when there is none.
    mutating func fillByChain(_ member: Int) -> Bool {
        self.carryOut(
            self.chain(to: member) { self.load[$0] > self.bounds(of: $0).lowerBound })
    }

    /// Brings partitions away from a member that is over, to the nearest with room.
    mutating func relieveByChain(_ member: Int) -> Bool {
        for taker in self.members.indices
        where taker != member && self.load[taker] < self.bounds(of: taker).upperBound {
            if self.carryOut(self.chain(to: taker) { $0 == member }) { return true }
        }
        return false
    }

    /// Searches breadth first, against the direction of giving.
    private func chain(to target: Int, from isSource: (Int) -> Bool) -> [Step] {
        var stepFrom = [Step?](repeating: nil, count: self.members.count)
        var frontier = [target]
        while !frontier.isEmpty {
            var next: [Int] = []
            for taker in frontier {
                for piece in self.pieces.indices where self.pieces[piece].partitionCount > 0 {
                    let homes = self.pieces[piece].homes
                    for donor in homes
                    where donor != target && stepFrom[donor] == nil
                        && self.mayReplace(donor, by: taker, in: homes)
                    {
                        stepFrom[donor] = Step(piece: piece, donor: donor, taker: taker)
                        if isSource(donor) { return self.steps(from: donor, stepFrom) }
                        next.append(donor)
                    }
                }
            }
            frontier = next
        }
        return []
    }

    private func steps(from source: Int, _ stepFrom: [Step?]) -> [Step] {
        var steps: [Step] = []
        var donor = source
        while let step = stepFrom[donor] {
            steps.append(step)
            donor = step.taker
        }
        return steps
    }

    private mutating func carryOut(_ steps: [Step]) -> Bool {
        guard let first = steps.first, let last = steps.last else { return false }
        // A piece that serves two steps has partitions for both only if each takes half.
        var uses: [Int: Int] = [:]
        for step in steps { uses[step.piece, default: 0] += 1 }
        let count = steps.reduce(
            min(
                self.load[first.donor] - self.bounds(of: first.donor).lowerBound,
                max(
                    self.shares[last.taker] - self.load[last.taker],
                    self.bounds(of: last.taker).upperBound - self.load[last.taker]))
        ) { min($0, self.pieces[$1.piece].partitionCount / (uses[$1.piece] ?? 1)) }
        guard count > 0 else { return false }
        for step in steps {
            self.replace(step.donor, by: step.taker, inPartitions: count, of: step.piece)
        }
        return true
    }

    // MARK: - Steps that merge sets

    /// Takes the smallest sets of homes away, by giving their partitions to sets that differ from
    /// them in one node, until there are no more than may be.
    mutating func mergeSets() {
        while self.partitionsOfHomes.count > self.homeSetLimit {
            let before = self.partitionsOfHomes.count
            let bySize = self.partitionsOfHomes.sorted {
                $0.value == $1.value
                    ? $0.key.lexicographicallyPrecedes($1.key) : $0.value < $1.value
            }
            for (homes, size) in bySize where self.partitionsOfHomes.count > self.homeSetLimit {
                // A set that has grown since by a merge is no longer among the smallest.
                if self.partitionsOfHomes[homes] == size { self.merge(homes, ofSize: size) }
            }
            if self.partitionsOfHomes.count == before { return }
        }
    }

    private mutating func merge(_ homes: [Int], ofSize size: Int) {
        var best: (leaver: Int, entrant: Int)?
        var bestRank = (Int.max, Double.infinity)
        let own = self.piecesOfMember[homes[0]].filter {
            self.pieces[$0].homes == homes && self.pieces[$0].partitionCount > 0
        }
        for kept in homes {
            for neighbour in self.piecesOfMember[kept]
            where self.pieces[neighbour].partitionCount > 0 {
                let entrants = self.pieces[neighbour].homes.filter { !homes.contains($0) }
                let leavers = homes.filter { !self.pieces[neighbour].homes.contains($0) }
                guard let entrant = entrants.first, entrants.count == 1,
                    let leaver = leavers.first,
                    self.load[leaver] - size >= self.bounds(of: leaver).lowerBound,
                    self.load[entrant] + size <= self.bounds(of: entrant).upperBound,
                    self.mayReplace(leaver, by: entrant, in: homes)
                else { continue }
                let cost = own.reduce(0) {
                    $0 + self.pieces[$1].partitionCount
                        * self.cost(ofReplacing: leaver, by: entrant, in: $1)
                }
                let strain =
                    Double(self.load[entrant] + size) / Double(max(1, self.shares[entrant]))
                    - Double(self.load[leaver] - size) / Double(max(1, self.shares[leaver]))
                if (cost, strain) < bestRank {
                    (best, bestRank) = ((leaver, entrant), (cost, strain))
                }
            }
        }
        guard let best else { return }
        for piece in own {
            self.replace(
                best.leaver, by: best.entrant, inPartitions: self.pieces[piece].partitionCount,
                of: piece)
        }
    }
}
