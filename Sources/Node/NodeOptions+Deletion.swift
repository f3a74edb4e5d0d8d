import MetaNode
import ObjectAccess
import Primitives
import Settings
import StoreNode

/// The settings by which chunks are deleted.
extension NodeOptions {
    /// Their names, as options, variables and lines of a file.
    package static let deletionSettings = [
        "deletion-grace", "full-disk-grace", "orphan-grace", "upload-lifetime",
        "abandoned-upload-grace", "sweep-period", "deletion-period", "orphan-period",
        "audit-period",
    ]

    /// From a second, for clusters that are there to be tried out, to a year.
    private static let graces: ClosedRange<Int64> = 1...31_536_000
    /// From a second to a week.
    private static let periods: ClosedRange<Int64> = 1...604_800

    /// Takes what the sources say, and holds the graces against each other.
    package mutating func readDeletionSettings(
        _ sources: SettingSources
    ) throws(SettingsFault) {
        try Self.read("deletion-grace", Self.graces, sources, into: &self.sweep.grace)
        try Self.read("full-disk-grace", Self.graces, sources, into: &self.sweep.graceWhenFull)
        try Self.read("orphan-grace", Self.graces, sources, into: &self.janitor.orphanGrace)
        try Self.read("upload-lifetime", Self.graces, sources, into: &self.access.uploadLifetime)
        try Self.read(
            "abandoned-upload-grace", Self.graces, sources, into: &self.sweep.uploadPatience)
        try Self.read("sweep-period", Self.periods, sources, into: &self.sweep.period)
        try Self.read("deletion-period", Self.periods, sources, into: &self.janitor.pullPeriod)
        try Self.read("orphan-period", Self.periods, sources, into: &self.janitor.walkPeriod)
        try Self.read("audit-period", Self.periods, sources, into: &self.sweep.auditPeriod)
        // Otherwise an upload that is still under way would find its chunks condemned.
        guard self.janitor.orphanGrace > self.access.uploadLifetime else {
            let found = sources.find("orphan-grace") ?? sources.find("upload-lifetime")
            throw .malformed(
                found?.origin ?? "orphan-grace", value: found?.value ?? "",
                wanted: "an orphan grace above the lifetime of uploads")
        }
    }

    private static func read(
        _ name: String, _ range: ClosedRange<Int64>, _ sources: SettingSources,
        into setting: inout Duration
    ) throws(SettingsFault) {
        if let seconds = try sources.seconds(name, in: range) { setting = .seconds(seconds) }
    }
}
