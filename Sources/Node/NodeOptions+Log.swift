import MetaNode
import Primitives
import Settings

/// The settings by which the logs of the groups are kept, and states sent to who lacks more.
extension NodeOptions {
    /// Their names, as options, variables and lines of a file.
    package static let logSettings = [
        "log-kept-entries", "log-kept-mib", "snapshot-rate-mib", "names-kept",
    ]

    private static let entries = 1_000...100_000_000
    private static let names = 1_024...16_777_216
    private static let mebibytes = 1...65_536

    package mutating func readLogSettings(_ sources: SettingSources) throws(SettingsFault) {
        if let entries = try sources.number("log-kept-entries", in: Self.entries) {
            self.log.entriesKeptForSlow = UInt64(entries)
        }
        if let mebibytes = try sources.number("log-kept-mib", in: Self.mebibytes) {
            self.log.bytesKeptForSlow = UInt64(mebibytes) << 20
        }
        if let mebibytes = try sources.number("snapshot-rate-mib", in: Self.mebibytes) {
            self.log.snapshots.bytesPerSecond = mebibytes << 20
        }
        if let names = try sources.number("names-kept", in: Self.names) {
            self.log.invalidationsKept = names
        }
    }
}
