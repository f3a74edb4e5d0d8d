import FileClient
import IORuntime
import Primitives
import Synchronization

/// Shows on standard error how far a transfer is: a bar on a terminal, now and then a line in a log.
/// Lines about single files go between.
final class ProgressDisplay: Sendable {
    private let environment: RealEnvironment
    private let progress: TransferProgress
    private let isQuiet: Bool
    private let isTerminal = Terminal.isTerminal(.errors)
    private let state: Mutex<State>

    private struct State {
        var text: TransferText
        var isBarShown = false
        var isEnded = false
        /// The first that was told of.
        var fault: FileClientFault?
    }

    private static let barInterval: Duration = .milliseconds(200)
    private static let lineInterval: Duration = .seconds(10)
    private static let clearLine = "\r\u{1B}[K"

    init(
        _ verb: String, _ progress: TransferProgress, isQuiet: Bool, _ environment: RealEnvironment
    ) {
        self.environment = environment
        self.progress = progress
        self.isQuiet = isQuiet
        self.state = Mutex(State(text: TransferText(verb, start: environment.now)))
    }

    func begin() {
        let loop = self.environment.loops[0]
        let interval = self.isTerminal ? Self.barInterval : Self.lineInterval
        loop.spawn {
            while self.show() {
                do { try await loop.sleep(for: interval) } catch { return }
            }
        }
    }

    /// Shows an event about one file; failures even when quiet.
    func report(_ event: TransferEvent) {
        switch event {
        case .failed(let fault):
            self.state.withLock { $0.fault = $0.fault ?? fault }
            self.say("error: \(fault)")
        case .skipped(let path, let kind):
            let what = kind == .symbolicLink ? "a symbolic link" : "not a file"
            if !self.isQuiet { self.say("skipped \(path): \(what)") }
        }
    }

    /// Takes the bar away and says what came of it; what is left for the next run too, unless
    /// whoever ends it says so.
    func end(saysStanding: Bool = true) {
        let counts = self.progress.counts
        let summary = self.state.withLock { state in
            state.isEnded = true
            return state.text.summary(counts, at: self.environment.now)
        }
        // Where nothing was begun the error says it all.
        self.say(self.isQuiet || counts.files == 0 ? nil : summary)
        if saysStanding, !self.isQuiet, let standing = self.standing { self.say(standing) }
    }

    /// Says so when a transfer had nothing to do, which a person may not have meant.
    func sayWhetherIdle() {
        guard !self.isQuiet, self.progress.counts.files == 0 else { return }
        self.say("nothing to do: there is no such file, or --include and --exclude want none")
    }

    /// What is left for the next run; nil when it is nothing.
    var standing: String? { TransferText.standing(self.progress.counts) }

    /// What came of it, for the shell.
    var exitStatus: Int32 {
        ExitStatus.of(self.progress.counts, first: self.state.withLock { $0.fault })
    }

    /// False when there is nothing more to show.
    private func show() -> Bool {
        let counts = self.progress.counts
        let columns = Terminal.width(.errors) ?? 80
        return self.state.withLock { state in
            guard !state.isEnded else { return false }
            let isFirst = state.text.bytesPerSecond == nil
            state.text.sample(counts, at: self.environment.now)
            guard !self.isQuiet else { return true }
            if self.isTerminal {
                state.isBarShown = true
                let bar = state.text.bar(counts, columns: columns)
                Terminal.write(Self.clearLine + bar, to: .errors)
            } else if !isFirst {
                Terminal.write(state.text.line(counts) + "\n", to: .errors)
            }
            return true
        }
    }

    private func say(_ line: String?) {
        let text = line.map { TransferText.printable($0) + "\n" } ?? ""
        self.state.withLock { state in
            let clearing = state.isBarShown ? Self.clearLine : ""
            state.isBarShown = false
            Terminal.write(clearing + text, to: .errors)
        }
    }
}
