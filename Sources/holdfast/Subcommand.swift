import FileClient
import IORuntime
import Settings

/// One thing that the program does. Each stands in a file of its own, and in `all`.
struct Subcommand: Sendable {
    let name: String
    /// Half a line, for the list of commands.
    let summary: String
    /// Fits a screen.
    let help: String
    let parser: OptionParser
    /// Loops, and with them threads, that the command has work for.
    var loopCount: @Sendable (ParsedOptions) -> Int = { _ in 1 }
    /// Returns the exit status.
    let run: @Sendable (ParsedOptions, RealEnvironment) async throws(CommandFault) -> Int32

    static let all: [Subcommand] = [
        .put, .get, .list, .remove, .link, .status, .verify, .initialize, .node, .key, .slots,
    ]
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
        case .usage, .settings: 2
        case .transfer, .failed: 1
        }
    }
}

enum ErrorLine {
    /// One line on standard error, whatever the text holds.
    static func write(_ text: String) {
        Terminal.write("error: \(TransferText.printable(text))\n", to: .errors)
    }
}
