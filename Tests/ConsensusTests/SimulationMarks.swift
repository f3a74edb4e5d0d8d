extension SimulatedGroup {
    /// What a run went through; a simulation that no longer gets somewhere must be noticed.
    struct Marks {
        var leaders = 0
        var commits = 0
        var readsAnswered = 0
        var readsRefused = 0
        var crashes = 0
        var replacedSuffixes = 0
        var loads = 0
        var snapshots = 0
        var overloads = 0
        var handovers = 0
        var damages = 0
        var recoveries = 0
        var changes = 0
        var leadersInJoint = 0
        var leadersRemoved = 0

        static func + (a: Self, b: Self) -> Self {
            Marks(
                leaders: a.leaders + b.leaders, commits: a.commits + b.commits,
                readsAnswered: a.readsAnswered + b.readsAnswered,
                readsRefused: a.readsRefused + b.readsRefused, crashes: a.crashes + b.crashes,
                replacedSuffixes: a.replacedSuffixes + b.replacedSuffixes,
                loads: a.loads + b.loads, snapshots: a.snapshots + b.snapshots,
                overloads: a.overloads + b.overloads, handovers: a.handovers + b.handovers,
                damages: a.damages + b.damages, recoveries: a.recoveries + b.recoveries,
                changes: a.changes + b.changes,
                leadersInJoint: a.leadersInJoint + b.leadersInJoint,
                leadersRemoved: a.leadersRemoved + b.leadersRemoved)
        }
    }
}
