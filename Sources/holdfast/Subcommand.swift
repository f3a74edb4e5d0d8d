import FileClient
import IORuntime
import Settings

/// One thing that the program does. Each stands in a file of its own, and in `all`.
struct Subcommand: Sendable {
    let name: String
    /// Half a line, for the list of commands.
    let summary: String
    /// Fits a screen of 24 lines of 80 columns.
    let help: String
    /// What the first word behind the name may be, where there is a choice.
    var verbs: [String] = []
    let parser: OptionParser
    /// Loops, and with them threads, that the command has work for.
    var loopCount: @Sendable (ParsedOptions) -> Int = { _ in 1 }
    /// Returns the exit status.
    let run: @Sendable (ParsedOptions, RealEnvironment) async throws(CommandFault) -> Int32

    static let all: [Subcommand] = [
        .put, .get, .list, .cat, .copy, .move, .remove, .stat, .usage, .link, .status, .verify,
        .initialize, .node, .key, .slots, .completion,
    ]
}

/// How a command ends, for scripts. The numbers are a promise.
enum ExitStatus {
    static let done: Int32 = 0
    static let failed: Int32 = 1
    static let notUnderstood: Int32 = 2
    /// Of many files some failed, and each has its line.
    static let someFailed: Int32 = 3
    static let notFound: Int32 = 4
    static let refused: Int32 = 5
    /// Worth another try later.
    static let noEdge: Int32 = 6

    /// What many files came to; `first` is the first fault that was told of.
    static func of(_ counts: TransferProgress.Counts, first: FileClientFault?) -> Int32 {
        guard counts.filesFailed > 0 else { return Self.done }
        if counts.filesDone + counts.filesSame > 0 { return Self.someFailed }
        return first.map(Self.of) ?? Self.failed
    }

    static func of(_ fault: FileClientFault) -> Int32 {
        if case .noEdgeAnswered = fault { return Self.noEdge }
        if case .nothingThere = fault { return Self.notFound }
        if case .noSuchFile = fault { return Self.notFound }
        if case .refused(let refusal, _) = fault {
            if refusal.status == 404 { return Self.notFound }
            if refusal.status == 403 { return Self.refused }
        }
        return Self.failed
    }
}

/// Why a command has failed.
enum CommandFault: Error, CustomStringConvertible {
    /// The words on the command line contradict each other, or are not what they should be.
    case usage(String)
    case settings(SettingsFault)
    case transfer(FileClientFault)
    /// Anything else, in words.
    case failed(String)

    var description: String {
        switch self {
        case .usage(let text), .failed(let text): text
        case .settings(let fault): fault.description
        case .transfer(let fault): fault.description
        }
    }

    var exitStatus: Int32 {
        switch self {
        case .usage, .settings: ExitStatus.notUnderstood
        case .transfer(let fault): ExitStatus.of(fault)
        case .failed: ExitStatus.failed
        }
    }
}

enum ErrorLine {
    /// One line on standard error, whatever the text holds.
    static func write(_ text: String) {
        Terminal.write("error: \(TransferText.printable(text))\n", to: .errors)
    }
}
