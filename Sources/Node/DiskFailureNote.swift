import IORuntime
import MetaNode
import Primitives

/// What a node's identity keeps of failures of its disk, across starts.
///
/// A process that could not write, or found its metadata changed under it, ends and leaves an open
/// note. The next start takes it: it proves the logs, whose replicas recover from the others where
/// something is lost, and reads the ends of the segments from the device. Once all of that is
/// durable the note is marked as taken. A disk that fails again soon is failing for good, and a
/// node that went round for ever would only hide it: then the start is refused.
///
/// A process that learned that it may have forgotten a vote leaves a note that is *final*: no start
/// goes on from it.
///
/// As text: `open`, `taken` or `final`, on the next line when a note was last taken, in milliseconds of the
/// wall clock (`-` for never), and below why the process ended.
package struct DiskFailureNote: Equatable, Sendable {
    package enum State: String, Sendable {
        /// The next start takes it.
        case open
        /// A start has taken it, and everything is durable.
        case taken
        /// Nothing leads on from here.
        case final
    }

    package var state: State
    package var lastTaken: Timestamp?
    package var reason: String

    /// A failure this soon after one that was taken is left to a person.
    package static let leastPeace = Duration.seconds(3600)

    package init(_ state: State, lastTaken: Timestamp? = nil, reason: String) {
        self.state = state
        self.lastTaken = lastTaken
        self.reason = reason
    }

    /// Whatever cannot be understood is an open note: somebody wanted to say something.
    package init(text: String) {
        let lines = text.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard lines.count == 3, let state = State(rawValue: String(lines[0])),
            lines[1] == "-" || Int64(lines[1]) != nil
        else {
            self.init(.open, reason: text)
            return
        }
        self.init(
            state, lastTaken: Int64(lines[1]).map { Timestamp(milliseconds: $0) },
            reason: String(lines[2]))
    }

    package var text: String {
        let taken = self.lastTaken.map { "\($0.milliseconds)" } ?? "-"
        return "\(self.state.rawValue)\n\(taken)\n\(self.reason)"
    }

    /// Whether a start at this time may go on by itself. A clock that was set back counts as soon.
    package func mayBeTaken(at now: Timestamp) -> Bool {
        guard let last = self.lastTaken else { return true }
        return now.milliseconds - last.milliseconds
            >= Self.leastPeace.components.seconds * 1000
    }
}

extension DataDirectory {
    private var failurePath: String {
        self.identityDirectory + "/" + NodeIdentity.File.damaged
    }

    private func failureNote(_ files: any FileSystem) throws(FileFault) -> DiskFailureNote? {
        guard let text = try self.text(of: self.failurePath, files) else { return nil }
        return DiskFailureNote(text: text)
    }

    /// The failure that this start is to take, if there was one. Blocking.
    ///
    /// - Throws: `.diskFailing` when it came too soon after another, `.damaged` when it is final.
    package func failureToTake(
        at now: Timestamp, _ files: any FileSystem
    ) throws(NodeFault) -> DiskFailureNote? {
        let note: DiskFailureNote?
        do throws(FileFault) { note = try self.failureNote(files) } catch {
            throw .file("\(error)")
        }
        guard let note, note.state != .taken else { return nil }
        guard note.state != .final else {
            throw .damaged(directory: self.directory, reason: note.reason)
        }
        guard note.mayBeTaken(at: now) else {
            throw .diskFailing(
                directory: self.directory, reason: note.reason, note: self.failurePath)
        }
        return note
    }

    /// Everything is proven and durable: the failure is in the past. Blocking.
    package func tookFailure(
        _ note: DiskFailureNote, at now: Timestamp, _ files: any FileSystem
    ) throws(NodeFault) {
        let taken = DiskFailureNote(.taken, lastTaken: now, reason: note.reason)
        do throws(FileFault) {
            try files.replace(self.failurePath, with: Array(taken.text.utf8))
        } catch { throw .file("\(error)") }
    }

    /// Notes why the process ends, where the next start must know: best effort, because the process
    /// ends whether or not it can be written. A disk that was full has failed nobody.
    package func noteEnd(_ status: Int32, _ reason: String, _ files: any FileSystem) {
        guard status != MetaSettings.diskFullStatus else { return }
        do throws(FileFault) {
            let lastTaken = try self.failureNote(files)?.lastTaken
            let state: DiskFailureNote.State =
                status == MetaSettings.forgottenStatus ? .final : .open
            let note = DiskFailureNote(state, lastTaken: lastTaken, reason: reason)
            try files.replace(self.failurePath, with: Array(note.text.utf8))
        } catch { return }
    }
}
