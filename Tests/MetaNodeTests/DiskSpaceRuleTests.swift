import Catalog
import MetaNode
import Primitives
import Testing

@Suite struct DiskSpaceRuleTests {
    /// Mark 100, so floor 25; well again at 125 beyond the ballast of 50.
    private static let settings: DiskSpaceSettings = {
        var settings = DiskSpaceSettings()
        settings.ballastBytes = 50
        settings.markBytes = 100
        return settings
    }()

    @Test func `a disk fills, lives on its ballast, and recovers`() {
        var rule = DiskSpaceRule(Self.settings, holdsBallast: true)
        #expect(rule.measured(freeBytes: 100) == nil)
        #expect(rule.space == .ample)
        #expect(rule.measured(freeBytes: 99) == .releaseBallast)
        #expect(rule.space == .low, "said before the ballast is gone")
        #expect(rule.recoveryBytes == 175)
        rule.ballastReleased()
        // What the ballast gave is no recovery.
        #expect(rule.measured(freeBytes: 149) == nil)
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 174) == nil)
        #expect(rule.measured(freeBytes: 175) == .makeBallast)
        #expect(rule.space == .low)
        rule.ballastMade()
        #expect(rule.space == .ample)
        #expect(rule.measured(freeBytes: 125) == nil)
        #expect(rule.space == .ample)
    }

    @Test func `below the floor nothing is taken, and a little more than the floor ends that`() {
        var rule = DiskSpaceRule(Self.settings, holdsBallast: true)
        // With a ballast to give there is hope.
        #expect(rule.measured(freeBytes: 3) == .releaseBallast)
        #expect(rule.space == .low)
        rule.ballastReleased()
        #expect(rule.measured(freeBytes: 24) == nil)
        #expect(rule.space == .exhausted)
        #expect(rule.measured(freeBytes: 49) == nil)
        #expect(rule.space == .exhausted)
        #expect(rule.measured(freeBytes: 50) == nil)
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 25) == nil)
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 1) == nil)
        #expect(rule.measured(freeBytes: 1000) == .makeBallast)
        #expect(rule.space == .low)
    }

    @Test func `a node without a ballast takes nothing that grows before it has one`() {
        var rule = DiskSpaceRule(Self.settings, holdsBallast: false)
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 174) == nil)
        #expect(rule.measured(freeBytes: 175) == .makeBallast)
        rule.ballastDidNotFit()
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 500) == .makeBallast)
        rule.ballastMade()
        #expect(rule.space == .ample)
    }

    @Test func `where no ballast can be made the mark alone rules`() {
        var rule = DiskSpaceRule(Self.settings, holdsBallast: false)
        #expect(rule.measured(freeBytes: 200) == .makeBallast)
        rule.ballastFailed()
        #expect(rule.space == .ample)
        #expect(rule.measured(freeBytes: 99) == nil)
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 124) == nil)
        #expect(rule.space == .low)
        #expect(rule.measured(freeBytes: 125) == nil)
        #expect(rule.space == .ample)
    }

    @Test func `a ballast that cannot be given back is tried again`() {
        var rule = DiskSpaceRule(Self.settings, holdsBallast: true)
        #expect(rule.measured(freeBytes: 10) == .releaseBallast)
        #expect(rule.measured(freeBytes: 10) == .releaseBallast)
        #expect(rule.space == .low)
    }

    @Test func `the raw values are what other releases read`() {
        #expect(DiskSpace.ample.rawValue == 1)
        #expect(DiskSpace.low.rawValue == 2)
        #expect(DiskSpace.exhausted.rawValue == 3)
    }

    /// What is given away before somebody has it again must find room, however full the disk is.
    @Test func `what a full disk keeps is enough for the last rows of all moves of slots`() {
        let (moves, disk) = (SlotMoveSettings(), DiskSpaceSettings())
        let kept =
            disk.markBytes - DiskSpaceRule(disk, holdsBallast: true).floorBytes
            + disk.ballastBytes
        // Once in the log and once in the state.
        let rows = 2 * CatalogLimits.slotMoves * (moves.gapBytes + moves.mostPieceBytes)
        #expect(UInt64(rows) < kept)
    }
}
