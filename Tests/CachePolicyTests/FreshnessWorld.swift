import CachePolicy
import Primitives

/// Two groups that know every index of their logs, three replicas of each that lag and restart, and
/// two edges with caches that follow them over a network that delays, repeats, overtakes and loses.
///
/// Time is a count of steps, and each entry is committed at a step of its own. What was committed,
/// and when, is kept for ever: the oracle that no answer of an edge may contradict.
struct FreshnessWorld {
    static let groupCount = 2
    static let replicasPerGroup = 3
    static let edgeCount = 2
    static let buckets = ["photos", "music", "films"]
    static let keys = ["a", "b", "c"]
    /// A read that may be old may be so many steps old.
    static let staleness: UInt64 = 400

    struct Name: Hashable {
        let bucket: String
        let key: String

        var marks: MarkedName {
            let bucket = NameMark(bucket: self.bucket.utf8)
            return MarkedName(name: NameMark(key: self.key.utf8, in: bucket), bucket: bucket)
        }
    }

    struct Replica {
        var applied = 0
        var ring = InvalidationRing(at: .zero)
    }

    struct Group {
        /// For each entry what it invalidates, and when it was committed.
        var log: [(names: [NameMark], step: UInt64)] = []
        /// The buckets it owns behind each entry; the first place is before the first.
        var owned: [Set<String>]
        var replicas = [Replica](repeating: Replica(), count: FreshnessWorld.replicasPerGroup)
    }

    enum Message {
        case news(InvalidationNews, group: Int)
        case fill(version: Int, Name, group: Int, readAt: Int)
        case readIndex(Int, group: Int, asked: UInt64)
    }

    /// A linearizable read that waits for the stream of its edge.
    struct Reader {
        let name: Name
        let group: Int
        let index: Int
        let began: UInt64
    }

    struct Edge {
        var cache = FollowedCache<Name, Int>(capacityBytes: 700)
        var inbox: [Message] = []
        var readers: [Reader] = []
        /// Which group owns a bucket, as it was once.
        var table: [String: Int] = [:]
    }

    struct Counts {
        var linearizable = 0
        var bounded = 0
        var absent = 0
        var resets = 0
        var refused = 0
        var moves = 0
    }

    private var random: SeededGenerator
    private var now: UInt64 = 1
    private var groups: [Group]
    private var edges = [Edge](repeating: Edge(), count: FreshnessWorld.edgeCount)
    private var owners: [String: Int] = [:]
    /// Every version that a name ever had, each from a step on: the oracle. Negative: absent, and
    /// absence from a bucket that was made anew is another than before.
    private var history: [Name: [(from: UInt64, version: Int)]] = [:]
    private var nextVersion = 1
    private(set) var counts = Counts()
    /// What an edge answered that was not so; none in a world that is right.
    private(set) var contradictions: [String] = []

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        self.groups = [Group(owned: [Set(Self.buckets)]), Group(owned: [[]])]
        for bucket in Self.buckets {
            self.owners[bucket] = 0
            for key in Self.keys {
                self.history[Name(bucket: bucket, key: key)] = [(0, -1)]
            }
        }
        for edge in 0..<Self.edgeCount { self.edges[edge].table = self.owners }
    }

    private mutating func pick(_ range: Range<Int>) -> Int {
        Int.random(in: range, using: &self.random)
    }

    private mutating func pickBucket() -> String { Self.buckets[self.pick(0..<Self.buckets.count)] }

    private mutating func pickName() -> Name {
        Name(bucket: self.pickBucket(), key: Self.keys[self.pick(0..<Self.keys.count)])
    }

    mutating func step() {
        self.now += 1
        let edge = self.pick(0..<Self.edgeCount)
        let group = self.pick(0..<Self.groupCount)
        let replica = self.pick(0..<Self.replicasPerGroup)
        switch self.pick(0..<200) {
        case 0..<8: self.write()
        case 8..<10: self.append([], to: group)
        case 10: self.moveBucket()
        case 11: self.remakeBucket()
        case 12..<50: self.apply(group, replica)
        case 50..<52: self.restart(group, replica)
        case 52..<80: self.follow(edge, group, replica)
        case 80..<110: self.fill(edge, group, replica)
        case 110..<140: self.deliver(to: edge)
        case 140..<160: self.beginRead(at: edge)
        case 160..<172: self.finishReads(at: edge)
        case 172..<184: self.readBounded(at: edge)
        case 184..<187: self.edges[edge].table = self.owners
        default: self.askReadIndex(edge, group)
        }
    }

    // MARK: What the groups do

    private mutating func append(_ names: [NameMark], to group: Int) {
        self.now += 1
        self.groups[group].log.append((names, self.now))
        let owned = self.groups[group].owned[self.groups[group].owned.count - 1]
        self.groups[group].owned.append(owned)
    }

    private mutating func write() {
        let name = self.pickName()
        self.append([name.marks.name], to: self.owners[name.bucket] ?? 0)
        let version = self.pick(0..<4) == 0 ? -1 : self.nextVersion
        self.nextVersion += 1
        self.history[name]?.append((self.now, version))
    }

    private mutating func remakeBucket() {
        let bucket = self.pickBucket()
        let group = self.owners[bucket] ?? 0
        for key in Self.keys {
            let name = Name(bucket: bucket, key: key)
            self.append([name.marks.name], to: group)
            self.history[name]?.append((self.now, -1))
        }
        self.append([NameMark(bucket: bucket.utf8)], to: group)
        self.nextVersion += 1
        for key in Self.keys {
            self.history[Name(bucket: bucket, key: key)]?.append((self.now, -self.nextVersion))
        }
    }

    /// Released in one group, then adopted in the other; what was written goes along.
    private mutating func moveBucket() {
        let bucket = self.pickBucket()
        let source = self.owners[bucket] ?? 0
        self.append([.everything], to: source)
        self.groups[source].owned[self.groups[source].log.count].remove(bucket)
        self.append([.everything], to: 1 - source)
        self.groups[1 - source].owned[self.groups[1 - source].log.count].insert(bucket)
        self.owners[bucket] = 1 - source
        self.counts.moves += 1
    }

    private mutating func apply(_ group: Int, _ replica: Int) {
        for _ in 0..<self.pick(1..<8) {
            let applied = self.groups[group].replicas[replica].applied
            guard applied < self.groups[group].log.count else { return }
            self.groups[group].replicas[replica].applied = applied + 1
            self.groups[group].replicas[replica].ring.append(
                self.groups[group].log[applied].names, at: Self.index(applied + 1))
        }
    }

    /// With nothing but what its disk holds: its ring is empty, and it may be far behind.
    private mutating func restart(_ group: Int, _ replica: Int) {
        let applied = self.groups[group].replicas[replica].applied
        let durable = applied - self.pick(0..<min(applied, 20) + 1)
        self.groups[group].replicas[replica].applied = durable
        self.groups[group].replicas[replica].ring.restart(at: Self.index(durable))
    }

    private static func index(_ number: Int) -> LogIndex { LogIndex(UInt64(number)) }
    private static func id(_ group: Int) -> GroupID { GroupID(UInt32(group)) }

    // MARK: What the edges do

    private mutating func post(_ message: Message, to edge: Int) {
        if self.pick(0..<10) == 0 { return }
        self.edges[edge].inbox.append(message)
        if self.pick(0..<10) == 0 { self.edges[edge].inbox.append(message) }
    }

    private mutating func follow(_ edge: Int, _ group: Int, _ replica: Int) {
        let through = self.edges[edge].cache.through(Self.id(group))
        if let news = self.groups[group].replicas[replica].ring.news(after: through) {
            self.post(.news(news, group: group), to: edge)
        }
    }

    /// The state as a replica has it, said to be of an index that it has reached.
    private mutating func fill(_ edge: Int, _ group: Int, _ replica: Int) {
        let name = self.pickName()
        let applied = self.groups[group].replicas[replica].applied
        guard self.groups[group].owned[applied].contains(name.bucket) else { return }
        let step = applied == 0 ? 0 : self.groups[group].log[applied - 1].step
        let version = self.history[name]?.last { $0.from <= step }?.version ?? -1
        let readAt = max(0, applied - self.pick(0..<3))
        self.post(.fill(version: version, name, group: group, readAt: readAt), to: edge)
    }

    private mutating func askReadIndex(_ edge: Int, _ group: Int) {
        self.post(
            .readIndex(self.groups[group].log.count, group: group, asked: self.now), to: edge)
    }

    private mutating func deliver(to edge: Int) {
        for _ in 0..<self.pick(1..<4) where !self.edges[edge].inbox.isEmpty {
            let place = self.pick(0..<self.edges[edge].inbox.count)
            switch self.edges[edge].inbox.remove(at: place) {
            case .news(let news, let group):
                let wasReset = self.edges[edge].cache.heard(news, of: Self.id(group))
                if wasReset { self.counts.resets += 1 }
            case .fill(let version, let name, let group, let readAt):
                let isAdmitted = self.edges[edge].cache.admit(
                    version, of: name, name.marks, in: Self.id(group),
                    readAt: Self.index(readAt), sizeBytes: 100)
                if !isAdmitted { self.counts.refused += 1 }
            case .readIndex(let index, let group, let asked):
                self.edges[edge].cache.confirmed(
                    Self.index(index), askedAt: Instant(nanoseconds: asked), of: Self.id(group))
            }
        }
    }

    private mutating func beginRead(at edge: Int) {
        let name = self.pickName()
        let group = self.edges[edge].table[name.bucket] ?? 0
        self.edges[edge].readers.append(
            Reader(
                name: name, group: group, index: self.groups[group].log.count, began: self.now))
    }

    private mutating func finishReads(at edge: Int) {
        let readers = self.edges[edge].readers
        self.edges[edge].readers = []
        for reader in readers {
            guard
                let found = self.edges[edge].cache.find(
                    reader.name, reader.name.marks, in: Self.id(reader.group))
            else { continue }
            guard found.through >= Self.index(reader.index) else {
                self.edges[edge].readers.append(reader)
                continue
            }
            self.counts.linearizable += 1
            if found.value < 0 { self.counts.absent += 1 }
            self.check(found.value, of: reader.name, since: reader.began)
        }
    }

    private mutating func readBounded(at edge: Int) {
        let name = self.pickName()
        let group = Self.id(self.edges[edge].table[name.bucket] ?? 0)
        guard let known = self.edges[edge].cache.knowsAll(of: group),
            self.now - known.nanoseconds <= Self.staleness,
            let found = self.edges[edge].cache.find(name, name.marks, in: group)
        else { return }
        self.counts.bounded += 1
        self.check(found.value, of: name, since: known.nanoseconds)
    }

    /// The version was the current one at some step from `began` on.
    private mutating func check(_ version: Int, of name: Name, since began: UInt64) {
        let versions = self.history[name] ?? []
        for (place, (_, known)) in versions.enumerated() where known == version {
            let ended = place + 1 < versions.count ? versions[place + 1].from : .max
            if ended > began { return }
        }
        self.contradictions.append(
            "step \(self.now): \(name.bucket)/\(name.key) was \(version) after \(began)")
    }
}
