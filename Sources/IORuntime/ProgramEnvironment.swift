import CLinux
import Glibc
import Primitives

/// What the process was started with, and what it is.
package enum ProgramEnvironment {
    /// Without the program's own name.
    package static var arguments: [String] { Array(CommandLine.arguments.dropFirst()) }

    package static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// All environment variables.
    package static var variables: [String: String] {
        var variables: [String: String] = [:]
        var next = holdfast_environment()
        while let entry = next.pointee {
            let parts = String(cString: entry).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            next += 1
        }
        return variables
    }

    /// Nil when it has been removed.
    package static var currentDirectory: String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            getcwd(buffer.baseAddress, buffer.count).map { String(cString: $0) }
        }
    }

    /// The file that this process runs.
    package static var executablePath: String? {
        realpath("/proc/self/exe", nil).map { path in
            defer { free(path) }
            return String(cString: path)
        }
    }

    package static var processID: Int32 { getpid() }

    /// The time that all threads of the process have spent on processors.
    package static var processorTime: Duration {
        var time = timespec()
        let result = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        invariant(result == 0, "the clock of a living process can be read")
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Processors that the machine has running; at least one.
    package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Memory of the process that is in RAM now; nil where /proc is not mounted.
    package static var residentBytes: UInt64? {
        let number = holdfast_open("/proc/self/statm", O_RDONLY, 0)
        guard number >= 0 else { return nil }
        defer { close(number) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = read(number, &buffer, buffer.count)
        let fields = buffer.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
        guard fields.count > 1 else { return nil }
        return UInt64(String(decoding: fields[1], as: UTF8.self)).map { $0 * UInt64(getpagesize()) }
    }

    /// Makes files that the process creates from now on readable to its own user only: a node's data
    /// directory holds keys.
    package static func keepNewFilesPrivate() { umask(0o077) }
}

package enum ResourceLimits {
    /// Lets the process open as many files and sockets as the system grants it, and says how many.
    /// Nil when the system refuses, and the limit stays what it was.
    @discardableResult
    package static func raiseDescriptorLimit() -> UInt64? {
        var limit: UInt64 = 0
        return holdfast_raise_descriptor_limit(&limit) == 0 ? limit : nil
    }

    /// For processes that move chunks: the allocator keeps their buffers for the next ones. Measured
    /// on 1 MiB calls between two nodes, it halves the CPU (2.3 to 1.2 ms); call it once, at start.
    package static func keepLargeBuffers() { holdfast_keep_large_buffers() }
}
