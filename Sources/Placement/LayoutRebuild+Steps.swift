extension LayoutRebuild {
    mutating func run() {
        self.replaceLeavers()
        self.balance()
        self.mergeSets()
    }

    // MARK: - Steps that must be

    /// Gives every copy of a member that leaves to another, and spreads homes over more zones where
    /// zones have been added.
    private mutating func replaceLeavers() {
        // Small pieces lie deeper: they fill what the big ones leave open.
        var waiting = self.pieces.indices.filter { self.mustChange(self.pieces[$0].homes) }
            .sorted { self.pieces[$0].partitionCount < self.pieces[$1].partitionCount }
        while let piece = waiting.popLast() {
            while self.pieces[piece].partitionCount > 0 {
                let homes = self.pieces[piece].homes
                let leaver = self.memberToReplace(in: homes)
                guard let entrant = self.neediest(inPlaceOf: leaver, in: homes) else { break }
                let count = self.portion(of: self.pieces[piece].partitionCount, for: entrant)
                let changed = self.replace(leaver, by: entrant, inPartitions: count, of: piece)
                if self.mustChange(self.pieces[changed].homes) { waiting.append(changed) }
            }
        }
    }

    private func zoneCount(of homes: [Int]) -> Int {
        Set(homes.map { self.zones[$0] }).count
    }

    private func mustChange(_ homes: [Int]) -> Bool {
        homes.contains { self.isLeaving[$0] } || self.zoneCount(of: homes) < self.zoneGoal
    }

    /// A home that leaves, or else the fullest of those that share a zone.
    private func memberToReplace(in homes: [Int]) -> Int {
        if let leaver = homes.first(where: { self.isLeaving[$0] }) { return leaver }
        let doubled = homes.filter { home in
            homes.contains { $0 != home && self.zones[$0] == self.zones[home] }
        }
        return doubled.max { self.fullness(of: $0) < self.fullness(of: $1) } ?? homes[0]
    }

    private func neediest(inPlaceOf leaver: Int, in homes: [Int]) -> Int? {
        self.members.indices
            .filter {
                !self.isLeaving[$0] && !homes.contains($0)
                    && self.mayReplace(leaver, by: $0, in: homes)
            }
            .min { self.fullness(of: $0) < self.fullness(of: $1) }
    }

    /// How much of `available` partitions a member in need takes: all of them where its bounds
    /// allow it, for a split makes a set more.
    private func portion(of available: Int, for entrant: Int) -> Int {
        let shortage = self.shares[entrant] - self.load[entrant]
        let room = self.bounds(of: entrant).upperBound - self.load[entrant]
        if available <= room || room <= 0 { return available }
        return shortage > room / 2 ? shortage : room
    }

    /// What a member keeps, as a part of its share.
    private func fullness(of member: Int) -> Double {
        Double(self.load[member]) / Double(max(1, self.shares[member]))
    }

    // MARK: - Steps that balance wants

    private mutating func balance() {
        for member in self.byFullness() where self.isShort(member) { self.fill(member) }
        for member in self.byFullness().reversed() where self.isOver(member) {
            self.relieve(member)
        }
        // Where zones forbid the direct way, copies go by way of others.
        var chainsLeft = Self.chainLimitPerMember * self.members.count
        while chainsLeft > 0, let member = self.members.indices.first(where: { self.isShort($0) }),
            self.fillByChain(member)
        {
            chainsLeft -= 1
        }
        while chainsLeft > 0, let member = self.members.indices.first(where: { self.isOver($0) }),
            self.relieveByChain(member)
        {
            chainsLeft -= 1
        }
    }

    private static var chainLimitPerMember: Int { 64 }

    private func isShort(_ member: Int) -> Bool {
        self.load[member] < self.bounds(of: member).lowerBound
    }

    private func isOver(_ member: Int) -> Bool {
        self.load[member] > self.bounds(of: member).upperBound
    }

    private func byFullness() -> [Int] {
        let fullness = self.members.indices.map { self.fullness(of: $0) }
        return self.members.indices.filter { !self.isLeaving[$0] }
            .sorted { (fullness[$0], $0) < (fullness[$1], $1) }
    }

    /// Brings a member that is short up to its share, the fullest others giving first.
    private mutating func fill(_ member: Int) {
        var hasMoved = true
        while hasMoved, self.load[member] < self.shares[member] {
            hasMoved = false
            for donor in self.byFullness().reversed() where donor != member {
                guard self.load[member] < self.shares[member] else { break }
                if self.transfer(from: donor, to: member) { hasMoved = true }
            }
        }
    }

    /// Brings a member that is over down to its share, the emptiest others taking first.
    private mutating func relieve(_ member: Int) {
        var hasMoved = true
        while hasMoved, self.load[member] > self.shares[member] {
            hasMoved = false
            for taker in self.byFullness() where taker != member {
                guard self.load[member] > self.shares[member] else { break }
                if self.transfer(from: member, to: taker) { hasMoved = true }
            }
        }
    }

    /// One step from `donor` to `taker` that leaves both within their bounds, or does not push them
    /// further out; false when there is none.
    private mutating func transfer(from donor: Int, to taker: Int) -> Bool {
        let room = min(
            self.load[donor] - self.bounds(of: donor).lowerBound,
            self.bounds(of: taker).upperBound - self.load[taker])
        guard room > 0 else { return false }
        let surplus = self.load[donor] - self.shares[donor]
        let shortage = self.shares[taker] - self.load[taker]
        let wanted = min(room, surplus > 0 ? surplus : room, shortage > 0 ? shortage : room)
        guard let step = self.bestStep(from: donor, to: taker, wanted: wanted, room: room) else {
            return false
        }
        self.replace(donor, by: taker, inPartitions: step.count, of: step.piece)
        return true
    }

    /// Of the pieces in which `taker` may stand in `donor`'s place the one that costs least, makes
    /// no set more if that can be, and is nearest to what is wanted.
    private func bestStep(
        from donor: Int, to taker: Int, wanted: Int, room: Int
    ) -> (piece: Int, count: Int)? {
        var best: (piece: Int, count: Int)?
        var bestRank = (Int.max, 0, 0)
        let tolerance = self.bounds(of: donor).count / 2
        for piece in self.piecesOfMember[donor] where self.pieces[piece].partitionCount > 0 {
            let (homes, available) = (self.pieces[piece].homes, self.pieces[piece].partitionCount)
            guard self.mayReplace(donor, by: taker, in: homes) else { continue }
            let isNear = available <= room && abs(available - wanted) <= tolerance
            let count = isNear ? available : min(available, wanted)
            let staysAsSet = (self.partitionsOfHomes[homes] ?? 0) > count
            let opensSet =
                staysAsSet
                && self.partitionsOfHomes[Self.homes(homes, replacing: donor, by: taker)] == nil
            let rank = (
                self.cost(ofReplacing: donor, by: taker, in: piece), opensSet ? 1 : 0,
                abs(count - wanted)
            )
            if rank < bestRank { (best, bestRank) = ((piece, count), rank) }
        }
        return best
    }
}
