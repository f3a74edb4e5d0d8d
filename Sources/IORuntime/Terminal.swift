import CLinux
import Glibc

/// The streams that a command writes for people and pipes.
package enum Terminal {
    package enum Stream: Sendable {
        case output
        case errors
        fileprivate var number: Int32 {
            switch self {
            case .output: STDOUT_FILENO
            case .errors: STDERR_FILENO
            }
        }
    }

    package static func isTerminal(_ stream: Stream) -> Bool { isatty(stream.number) == 1 }

    /// In columns; nil when the stream is not a terminal.
    package static func width(_ stream: Stream) -> Int? {
        let columns = holdfast_terminal_columns(stream.number)
        return columns > 0 ? Int(columns) : nil
    }

    /// Writes all of `text`, blocking as long as it takes. False when the stream is broken: its
    /// reader has gone, or the disk under it is full.
    @discardableResult
    package static func write(_ text: String, to stream: Stream) -> Bool {
        Self.write(Array(text.utf8), to: stream)
    }

    @discardableResult
    package static func write(_ bytes: [UInt8], to stream: Stream) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(
                    stream.number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // A terminal that another program has left in non-blocking mode.
                    usleep(1000)
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
    }
}
