import ObjectAccess
import Primitives
import Settings

/// The settings of what an edge remembers of objects.
extension NodeOptions {
    /// Their names, as options, variables and lines of a file.
    package static let edgeSettings = ["head-cache-mib", "link-staleness"]

    private static let mebibytes = 1...65_536
    /// Below two seconds edges would ask their groups all the time; a minute is what a link's
    /// answer says of itself at most.
    private static let staleness: ClosedRange<Int64> = 2...60

    package mutating func readEdgeSettings(_ sources: SettingSources) throws(SettingsFault) {
        if let mebibytes = try sources.number("head-cache-mib", in: Self.mebibytes) {
            self.access.headCacheBytes = mebibytes << 20
        }
        if let seconds = try sources.seconds("link-staleness", in: Self.staleness) {
            self.access.boundedAge = .seconds(seconds)
        }
    }
}
