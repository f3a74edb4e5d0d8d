internal import Primitives

/// The making of a layout from the one before: which partitions change which of their homes.
///
/// The work is done on *pieces*: the partitions that had the same homes and have the same homes
/// now. A step takes some partitions of a piece and puts one node in another's place. Three kinds
/// of steps follow each other: those that must be (a home has gone, or a zone more could be had),
/// those that balance wants, and those that merge sets of homes where there are too many. Every
/// step prefers to undo or redirect what an earlier one moved, which costs nothing.
struct LayoutRebuild {
    /// Partitions that share their old homes and their new ones. A piece's homes never change: a
    /// step moves partitions from one piece to another.
    struct Piece {
        /// Position of the old homes among the old layout's sets.
        let origin: Int
        /// The homes now, by ascending position among the members.
        let homes: [Int]
        var partitionCount: Int
    }

    /// How far from its share, in percent, a node may stay after a rebuild. A set of homes holds
    /// about a twenty-fourth of what each of its nodes keeps, so a smaller tolerance would split
    /// sets for every change, and a larger one gives away disk.
    static let tolerancePercent = 2

    let old: Layout
    let replicaCount: Int
    /// How many zones the homes of a partition must stand in.
    let zoneGoal: Int
    /// The nodes of the new layout that take partitions, and those that must give theirs away.
    let members: [NodeID]
    let isLeaving: [Bool]
    /// For each member a number for its zone.
    let zones: [Int]
    let shares: [Int]
    let homeSetLimit: Int

    private(set) var pieces: [Piece] = []
    private(set) var load: [Int]
    private(set) var piecesOfMember: [[Int]]
    /// How many partitions have these homes; without a row when none has.
    private(set) var partitionsOfHomes: [[Int]: Int] = [:]
    private let originHomes: [[Int]]
    private var pieceOfKey: [PieceKey: Int] = [:]

    private struct PieceKey: Hashable {
        let origin: Int
        let homes: [Int]
    }

    /// The active nodes are different ones, and at least `replicaCount`.
    init(old: Layout, active: [NodeDescriptor], replicaCount: Int) {
        let shareOfNode = NodeShares.shares(
            of: active, replicaCount: replicaCount, partitionCount: old.partitionCount)
        let members = Set(old.homeSets.joined()).union(shareOfNode.keys).sorted()
        let positions = Dictionary(
            uniqueKeysWithValues: members.enumerated().map { ($0.element, $0.offset) })
        let zoneNames = Set(active.map(\.zone)).sorted()
        let zoneOfNode = Dictionary(
            uniqueKeysWithValues: active.map { node in
                (node.id, zoneNames.firstIndex(of: node.zone) ?? 0)
            })

        self.old = old
        self.replicaCount = replicaCount
        self.zoneGoal = min(replicaCount, zoneNames.count)
        self.members = members
        self.isLeaving = members.map { shareOfNode[$0] == nil }
        self.zones = members.map { zoneOfNode[$0] ?? -1 }
        self.shares = members.map { shareOfNode[$0] ?? 0 }
        self.homeSetLimit = LayoutBuilder.homeSetsPerNodeLimit * (active.count + replicaCount)
        self.load = [Int](repeating: 0, count: members.count)
        self.piecesOfMember = [[Int]](repeating: [], count: members.count)
        self.originHomes = old.homeSets.map { homes in
            homes.map { home in
                guard let position = positions[home] else {
                    brokenInvariant("every node of an old set is a member; \(home) is not")
                }
                return position
            }
        }
        var counts = [Int](repeating: 0, count: old.homeSets.count)
        for origin in old.assignment { counts[Int(origin)] += 1 }
        for (origin, count) in counts.enumerated() where count > 0 {
            let homes = self.originHomes[origin]
            for home in homes { self.load[home] += count }
            self.enter(count, origin: origin, homes: homes)
        }
    }

    /// The most a member may keep, and the least; a member that leaves keeps nothing.
    func bounds(of member: Int) -> ClosedRange<Int> {
        guard !self.isLeaving[member] else { return 0...0 }
        let share = self.shares[member]
        let tolerance = max(1, share * Self.tolerancePercent / 100)
        return max(0, share - tolerance)...min(self.old.partitionCount, share + tolerance)
    }

    /// The fewest copies that any layout within the bounds moves: whoever is short must gain, and,
    /// where the number of copies stays what it was, whatever is over must go somewhere.
    var leastMoves: Int {
        var shortage = 0
        var excess = 0
        for member in self.members.indices {
            let bounds = self.bounds(of: member)
            shortage += max(0, bounds.lowerBound - self.load[member])
            excess += max(0, self.load[member] - bounds.upperBound)
        }
        return self.old.replicaCount == self.replicaCount ? max(shortage, excess) : shortage
    }

    // MARK: - Steps

    /// Whether `entrant` may stand in `leaver`'s place: the zones that the other homes cover and
    /// `entrant`'s, with one more for each home that still has to go, must reach the goal.
    func mayReplace(_ leaver: Int, by entrant: Int, in homes: [Int]) -> Bool {
        var covered: [Int] = [self.zones[entrant]]
        var open = 0
        for home in homes where home != leaver {
            if home == entrant { return false }
            if self.isLeaving[home] {
                open += 1
            } else if !covered.contains(self.zones[home]) {
                covered.append(self.zones[home])
            }
        }
        return covered.count + open >= self.zoneGoal
    }

    /// What a step adds to the copies moved in the end: a copy that an earlier step brought moves
    /// on for nothing, and one that goes back to where it was is not moved at all.
    func cost(ofReplacing leaver: Int, by entrant: Int, in piece: Int) -> Int {
        let origin = self.originHomes[self.pieces[piece].origin]
        return (origin.contains(entrant) ? 0 : 1) - (origin.contains(leaver) ? 0 : 1)
    }

    static func homes(_ homes: [Int], replacing leaver: Int, by entrant: Int) -> [Int] {
        homes.map { $0 == leaver ? entrant : $0 }.sorted()
    }

    /// Puts `entrant` in `leaver`'s place in `count` partitions of `piece`; returns the piece where
    /// they are now.
    @discardableResult
    mutating func replace(
        _ leaver: Int, by entrant: Int, inPartitions count: Int, of piece: Int
    ) -> Int {
        let from = self.pieces[piece]
        invariant(
            (1...from.partitionCount).contains(count), "a step moves partitions that are there")
        self.pieces[piece].partitionCount -= count
        let remaining = (self.partitionsOfHomes[from.homes] ?? 0) - count
        self.partitionsOfHomes[from.homes] = remaining > 0 ? remaining : nil
        self.load[leaver] -= count
        self.load[entrant] += count
        return self.enter(
            count, origin: from.origin,
            homes: Self.homes(from.homes, replacing: leaver, by: entrant))
    }

    @discardableResult
    private mutating func enter(_ count: Int, origin: Int, homes: [Int]) -> Int {
        self.partitionsOfHomes[homes, default: 0] += count
        let key = PieceKey(origin: origin, homes: homes)
        if let known = self.pieceOfKey[key] {
            self.pieces[known].partitionCount += count
            return known
        }
        let piece = self.pieces.count
        self.pieces.append(Piece(origin: origin, homes: homes, partitionCount: count))
        self.pieceOfKey[key] = piece
        for home in homes { self.piecesOfMember[home].append(piece) }
        return piece
    }

    // MARK: - The result

    /// For each partition its new homes: the pieces of an old set take its partitions in order.
    func assignment() -> (homeSets: [[NodeID]], assignment: [UInt16]) {
        var piecesOfOrigin = [[Int]](repeating: [], count: self.old.homeSets.count)
        for (position, piece) in self.pieces.enumerated().reversed() where piece.partitionCount > 0
        {
            piecesOfOrigin[piece.origin].append(position)
        }
        var left = self.pieces.map(\.partitionCount)
        var sets = HomeSets()
        let assignment = self.old.assignment.map { origin in
            guard let piece = piecesOfOrigin[Int(origin)].last else {
                brokenInvariant("the pieces of a set hold as many partitions as it had")
            }
            left[piece] -= 1
            if left[piece] == 0 { piecesOfOrigin[Int(origin)].removeLast() }
            return sets.position(of: self.pieces[piece].homes.map { self.members[$0] })
        }
        return (sets.all, assignment)
    }
}
