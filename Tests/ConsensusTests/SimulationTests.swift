import Foundation
import Primitives
import Testing

/// Seeded runs of whole groups. `SEEDS=5000` runs more of them, `FIRST_SEED=…` others.
struct SimulationTests {
    /// What fits in two seconds or three.
    #if DEBUG
    private static let usualSeeds: UInt64 = 30
    #else
    private static let usualSeeds: UInt64 = 300
    #endif

    private static func number(_ name: String, otherwise: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? otherwise
    }

    @Test(arguments: [3, 5])
    func `a group keeps every promise under every seed, and agrees when it is healed`(
        nodes: Int
    ) throws {
        let first = Self.number("FIRST_SEED", otherwise: 1)
        let count = Self.number("SEEDS", otherwise: Self.usualSeeds)
        var marks = SimulatedGroup.Marks()
        for seed in first..<first + count {
            var group = SimulatedGroup(seed: seed, nodes: nodes)
            do {
                for _ in 0..<1000 * nodes { try group.step() }
                try group.heal()
            } catch {
                Issue.record("seed \(seed), \(nodes) nodes: \(error)")
                return
            }
            marks = marks + group.marks
        }
        if count != Self.usualSeeds { print("\(nodes) nodes, \(count) seeds: \(marks)") }

        // The rare paths must still be reached, or the run says nothing about them.
        #expect(marks.leaders > Int(count))
        #expect(marks.commits > Int(count) * 10)
        #expect(marks.readsAnswered > Int(count))
        #expect(marks.readsRefused > Int(count))
        #expect(marks.crashes > Int(count))
        #expect(marks.replacedSuffixes > Int(count) / 5)
        #expect(marks.loads > Int(count))
        #expect(marks.snapshots > 0)
        #expect(marks.overloads > 0)
        #expect(marks.handovers > 0)
    }

    @Test(arguments: [1, 3])
    func `a group whose members change under all of that keeps every promise`(
        voters: Int
    ) throws {
        let first = Self.number("FIRST_SEED", otherwise: 1)
        let count = Self.number("SEEDS", otherwise: Self.usualSeeds)
        var marks = SimulatedGroup.Marks()
        for seed in first..<first + count {
            var group = SimulatedGroup(seed: seed, nodes: voters, spares: 6 - voters)
            do {
                for _ in 0..<4000 { try group.step() }
                try group.heal()
            } catch {
                Issue.record("seed \(seed), \(voters) voters at first: \(error)")
                return
            }
            marks = marks + group.marks
        }
        if count != Self.usualSeeds { print("from \(voters) voters, \(count) seeds: \(marks)") }

        #expect(marks.changes > Int(count) / 3)
        #expect(marks.leaders > Int(count))
        #expect(marks.commits > Int(count) * 10)
        #expect(marks.readsAnswered > Int(count))
        #expect(marks.leadersInJoint > 0)
        #expect(marks.leadersRemoved > 0)
        #expect(marks.snapshots > 0)
        #expect(marks.handovers > 0)
    }

    @Test(arguments: [3, 5])
    func `logs that lose entries of a minority at restarts lose nothing that was committed`(
        nodes: Int
    ) throws {
        let marks = try Self.run(nodes: nodes, damage: .minority) {
            (group: inout SimulatedGroup) throws(SimulatedGroup.Broken) in try group.heal()
        }
        let count = Int(Self.number("SEEDS", otherwise: Self.usualSeeds))
        #expect(marks.damages > count / 2)
        #expect(marks.recoveries > count / 2)
        #expect(marks.commits > count * 10)
    }

    @Test(arguments: [3, 5])
    func `whoever leads holds what was committed, even where every log has lost entries`(
        nodes: Int
    ) throws {
        let marks = try Self.run(nodes: nodes, damage: .anywhere) { _ in }
        #expect(marks.damages > Int(Self.number("SEEDS", otherwise: Self.usualSeeds)))
        #expect(marks.recoveries > 0)
    }

    /// What the two tests above would say of replicas that vote by what they happen to hold.
    @Test func `replicas that vote as if they never had what they lost elect who lacks it`() {
        let firstBroken = (1...200 as ClosedRange<UInt64>).first { seed in
            var group = SimulatedGroup(seed: seed, nodes: 3, damage: .forgotten)
            do throws(SimulatedGroup.Broken) {
                for _ in 0..<3000 { try group.step() }
                return false
            } catch {
                switch error {
                case .leaderLacksCommitted, .committedDiffers: return true
                case .twoLeaders, .committedWithoutMajority, .termWentBack, .sentBeforePersisted,
                    .staleRead, .appliedOutOfOrder, .fault, .boundPassed, .notConverged:
                    return false
                }
            }
        }
        #expect(firstBroken != nil)
    }

    private static func run(
        nodes: Int, damage: SimulatedGroup.Damage,
        then finish: (inout SimulatedGroup) throws(SimulatedGroup.Broken) -> Void
    ) throws -> SimulatedGroup.Marks {
        let first = Self.number("FIRST_SEED", otherwise: 1)
        let count = Self.number("SEEDS", otherwise: Self.usualSeeds)
        var marks = SimulatedGroup.Marks()
        for seed in first..<first + count {
            var group = SimulatedGroup(seed: seed, nodes: nodes, damage: damage)
            do {
                for _ in 0..<1000 * nodes { try group.step() }
                try finish(&group)
            } catch {
                Issue.record("seed \(seed), \(nodes) nodes: \(error)")
                break
            }
            marks = marks + group.marks
        }
        if count != Self.usualSeeds { print("\(nodes) nodes, \(count) seeds: \(marks)") }
        return marks
    }

    @Test func `the same seed is the same run`() throws {
        func run() throws -> SimulatedGroup.Marks {
            var group = SimulatedGroup(seed: 7, nodes: 3)
            for _ in 0..<2000 { try group.step() }
            return group.marks
        }
        #expect(try "\(run())" == "\(run())")
    }
}
