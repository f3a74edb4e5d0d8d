import Primitives

/// What a leader knows of one follower, and how it sends to it.
package struct Progress: Sendable {
    package enum State: Sendable, Equatable {
        /// The follower's log is not known yet: one message a round trip, until one is accepted.
        /// Entered at the start of a term, after a refusal, and when the follower was unreachable.
        case probe
        /// The logs agree up to `match`: messages are pipelined inside the window.
        case replicate
        /// The follower needs entries that the leader's log no longer has. Left when the follower
        /// acknowledges something from which the log can go on.
        case snapshot
    }

    package internal(set) var state: State = .probe
    /// The highest index known to be durable on the follower, in a log equal to ours.
    package internal(set) var match: LogIndex = .zero
    /// The index of the next entry to send.
    package internal(set) var next: LogIndex
    /// Whether anything was heard since the last look (CheckQuorum).
    package internal(set) var isRecentlyActive = false
    /// The same at that look.
    var wasActiveBefore = false

    /// Whether the follower would stand for election if it was asked to, as it last said in this
    /// term; false before it has said anything.
    package internal(set) var mayTakeOver = false

    /// The commit index last told in an append.
    var toldCommit: LogIndex = .zero
    /// The highest read position that the follower has confirmed in this term.
    var confirmedRead: UInt64 = 0
    /// Probing: a message is under way, and nothing follows it before it, or a heartbeat, is
    /// answered.
    var isProbeUnderWay = false
    /// A periodic heartbeat went out and was not answered yet. Its answer allows one probe; those
    /// of the heartbeats that only confirm reads do not, or reads would multiply appends.
    var isProbeDue = false
    /// Replicating: a heartbeat was answered although entries are missing. One append follows
    /// even when the window is full (then empty), so that a lost message is noticed.
    var owesProbe = false
    /// Entries from here were asked of the storage and have not come yet.
    var loading: LogIndex?
    var window: InflightWindow

    init(next: LogIndex, window: InflightWindow) {
        self.next = next
        self.window = window
    }

    /// Whether an append may go out now.
    var isPaused: Bool {
        if self.loading != nil { return true }
        switch self.state {
        case .probe: return self.isProbeUnderWay
        case .replicate: return self.window.isFull && !self.owesProbe
        case .snapshot: return true
        }
    }

    mutating func activityChecked() {
        self.wasActiveBefore = self.isRecentlyActive
        self.isRecentlyActive = false
    }

    mutating func becomeProbe() {
        self.state = .probe
        self.next = self.match.next
        self.isProbeUnderWay = false
        self.owesProbe = false
        self.loading = nil
        self.window.clear()
    }

    /// Nothing more is sent before a heartbeat is answered.
    mutating func waitForHeartbeat() {
        if self.state != .probe { self.becomeProbe() }
        self.isProbeUnderWay = true
    }

    /// The follower's storage has lost what it acknowledged behind `index`. Called for an old answer
    /// this takes back more than is true, and costs a probe.
    mutating func lost(behind index: LogIndex) {
        guard index < self.match else { return }
        self.match = index
        if self.state != .snapshot { self.becomeProbe() }
    }

    mutating func becomeReplicate() {
        self.state = .replicate
        self.next = self.match.next
        self.isProbeUnderWay = false
        self.owesProbe = false
        self.loading = nil
        self.window.clear()
    }

    mutating func becomeSnapshot() {
        self.state = .snapshot
        self.loading = nil
        self.window.clear()
    }

    /// An append left, whose last entry (or the one before it, if it is empty) is `last`.
    mutating func sent(through last: LogIndex, sizeBytes: Int, commit: LogIndex) {
        self.toldCommit = commit
        switch self.state {
        case .probe:
            self.isProbeUnderWay = true
        case .replicate:
            self.owesProbe = false
            if last >= self.next {
                self.next = last.next
                self.window.add(last: last, sizeBytes: sizeBytes)
            }
        case .snapshot:
            brokenInvariant("no append goes to a follower that waits for a snapshot")
        }
    }

    /// A heartbeat was answered by a follower that should come to hold everything up to `last`.
    mutating func heartbeatAnswered(readPosition: UInt64, last: LogIndex) {
        self.isRecentlyActive = true
        self.confirmedRead = max(self.confirmedRead, readPosition)
        guard self.isProbeDue else { return }
        self.isProbeDue = false
        self.isProbeUnderWay = false
        self.owesProbe = self.match < last
    }

    /// The follower holds everything up to `index`. False if that was known.
    mutating func accepted(through index: LogIndex) -> Bool {
        let isNews = index > self.match
        if isNews { self.match = index }
        switch self.state {
        case .probe:
            // An old answer repeated says nothing of the probe under way, but it is true, and a
            // pipeline that starts from what is true finds out the rest.
            if index >= self.match { self.becomeReplicate() }
        case .replicate:
            self.window.free(through: index)
            if self.next <= self.match { self.next = self.match.next }
        case .snapshot:
            break
        }
        return isNews
    }

    /// The follower refused an append behind `previous`; `resume` is the index that it and our log
    /// may have in common. False if the answer is an old one.
    mutating func refused(behind previous: LogIndex, resumingAfter resume: LogIndex) -> Bool {
        switch self.state {
        case .replicate:
            guard previous > self.match else { return false }
            self.becomeProbe()
            return true
        case .probe:
            guard self.next == previous.next else { return false }
            self.next = max(min(previous, resume.next), self.match.next)
            self.isProbeUnderWay = false
            return true
        case .snapshot:
            return false
        }
    }
}

/// The appends on their way to one follower, bounded in number and in bytes.
struct InflightWindow: Sendable {
    private let maximumMessages: Int
    private let maximumBytes: Int
    private var messages: [(last: LogIndex, sizeBytes: Int)] = []
    private var bytes = 0

    init(maximumMessages: Int, maximumBytes: Int) {
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
    }

    var isFull: Bool {
        self.messages.count >= self.maximumMessages || self.bytes >= self.maximumBytes
    }

    /// An empty append sent through a full window takes no place in it; hence no bound here.
    mutating func add(last: LogIndex, sizeBytes: Int) {
        self.messages.append((last, sizeBytes))
        self.bytes += sizeBytes
    }

    mutating func free(through index: LogIndex) {
        let count = self.messages.prefix { $0.last <= index }.count
        for message in self.messages[..<count] { self.bytes -= message.sizeBytes }
        self.messages.removeFirst(count)
    }

    mutating func clear() {
        self.messages.removeAll()
        self.bytes = 0
    }
}
