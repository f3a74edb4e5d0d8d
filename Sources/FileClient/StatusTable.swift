import IORuntime
import Primitives

/// The answers of all nodes as a table that a person can read.
package struct StatusTable: Sendable {
    private let asked: [AskedNode]

    package init(_ asked: [AskedNode]) { self.asked = asked }

    package var allAnswered: Bool { self.asked.allSatisfy { $0.status != nil } }

    package var lines: [String] {
        self.nodeLines + [""] + self.groupLines + self.closingLines
    }

    private static let heads = [
        "NODE", "ADDRESS", "ZONE", "ROLES", "STATE", "LEADS", "TERMS", "APPLIED", "BEHIND",
        "CHUNKS", "STORED", "FREE", "VERSION",
    ]

    private var nodeLines: [String] {
        Self.aligned(
            [Self.heads]
                + self.asked.map { node in
                    switch node.answer {
                    case .failure(let fault):
                        return ["-", node.address.description, "-", "-", "DOWN: \(fault)"]
                    case .success(let status): return Self.row(status, at: node)
                    }
                })
    }

    private static func row(_ status: NodeStatus, at node: AskedNode) -> [String] {
        let groups = status.groups ?? []
        let led = groups.filter { $0.role == "leader" }.map { "\($0.group)" }
        let terms = groups.map(\.term)
        let behind = groups.reduce(0) { $0 + ($1.commit > $1.applied ? $1.commit - $1.applied : 0) }
        let store = status.store
        return [
            "\(status.node)", node.address.description, status.zone, Self.roles(of: status),
            Self.state(of: status),
            led.isEmpty ? "-" : led.joined(separator: ","), Self.range(terms),
            groups.isEmpty ? "-" : "\(groups.reduce(0) { $0 + $1.applied })",
            groups.isEmpty ? "-" : "\(behind)", store.map { "\($0.chunks)" } ?? "-",
            store.map { TransferText.size($0.sealedBytes) } ?? "-",
            store.map { TransferText.size($0.freeBytes) } ?? "-", status.version,
        ].map { TransferText.printable($0) }
    }

    private static func state(of status: NodeStatus) -> String {
        let state = status.ready == false ? "joining" : "up"
        switch status.disk?.space {
        case "low": return state + ", disk low"
        case "exhausted": return state + ", disk full"
        default: return state
        }
    }

    private static func roles(of status: NodeStatus) -> String {
        if let roles = status.roles { return roles.joined(separator: ",") }
        var roles: [String] = []
        if status.groups?.isEmpty == false { roles.append("meta") }
        if status.store != nil { roles.append("store") }
        return roles.isEmpty ? "-" : roles.joined(separator: ",")
    }

    private static func range(_ terms: [UInt64]) -> String {
        guard let low = terms.min(), let high = terms.max() else { return "-" }
        return low == high ? "\(low)" : "\(low)-\(high)"
    }

    /// One line a group: who leads it, and whether all its voters that answered are up to it.
    private var groupLines: [String] {
        var rows = [["GROUP", "LEADER", "TERM", "APPLIED", "COPIES"]]
        let all = self.statuses.flatMap { status in
            (status.groups ?? []).map { (node: status.node, group: $0) }
        }
        let groups = all.map(\.group.group).sorted()
        for (index, group) in groups.enumerated() where index == 0 || groups[index - 1] != group {
            let copies = all.filter { $0.group.group == group }
            let term = copies.map(\.group.term).max() ?? 0
            let leader = copies.first { $0.group.role == "leader" && $0.group.term == term }
            let applied = copies.map(\.group.applied)
            rows.append([
                "\(group)", leader.map { "\($0.node)" } ?? "NONE", "\(term)", Self.range(applied),
                "\(copies.count)",
            ])
        }
        return rows.count == 1 ? [] : Self.aligned(rows) + [""]
    }

    private var closingLines: [String] {
        var lines: [String] = []
        let clusters = Self.distinct(self.statuses.map(\.cluster))
        if clusters.count > 1 {
            lines.append("WARNING: these nodes belong to \(clusters.count) clusters")
        }
        let full = self.statuses.filter { $0.disk.map { $0.space != "ample" } ?? false }
        if !full.isEmpty {
            let needed = full.compactMap(\.disk?.recoveryBytes).max() ?? 0
            lines.append(
                "WARNING: \(full.count) nodes are short of disk space; deletes go on, and writes "
                    + "do again once \(TransferText.size(needed)) are free there")
        }
        lines += self.recoveringLines
        for promise in Self.distinct(self.statuses.map(\.promise)) {
            lines.append("promise: \(TransferText.printable(promise))")
        }
        lines += self.masterKeyLines
        let up = self.statuses.count
        lines.append("\(up) of \(self.asked.count) nodes answer")
        return lines
    }

    /// Replicas whose log lacks entries that it had, and what to do where that keeps a group from
    /// having a leader.
    private var recoveringLines: [String] {
        let all = self.statuses.flatMap { status in
            (status.groups ?? []).map { (node: status.node, group: $0) }
        }
        let lacking = all.compactMap { copy in
            copy.group.recovering.map { (node: copy.node, group: copy.group.group, log: $0) }
        }.sorted { ($0.group, $0.node) < ($1.group, $1.node) }
        var lines = lacking.map {
            "WARNING: group \($0.group) on node \($0.node) is recovering: its log had reached "
                + "\(TransferText.printable($0.log.held)), and holds "
                + TransferText.printable($0.log.holds)
        }
        let leaderless = Set(lacking.map(\.group)).sorted().filter { group in
            !all.contains { $0.group.group == group && $0.group.role == "leader" }
        }
        lines += leaderless.map {
            "WARNING: group \($0) has no leader: start the nodes that are down, for whoever holds "
                + "what these logs had held will lead; if all are up, entries that may have been "
                + "acknowledged are gone from every disk, and its data has to come from a backup"
        }
        return lines
    }

    /// How far a rotation of the master key has come; nothing when none is under way.
    private var masterKeyLines: [String] {
        let reports = self.asked.compactMap(\.masterKeys)
        var lines: [String] = []
        let held = reports.map(\.held)
        let former = Self.distinct(reports.flatMap(\.former))
        let retired = Self.distinct(reports.flatMap(\.retired))
        for key in Self.distinct(reports.compactMap(\.held.last))
        where !reports.contains(where: { $0.inForce == key })
            && !former.contains(key) && !retired.contains(key)
        {
            let count = held.filter { $0.contains(key) }.count
            lines.append(
                "master key \(TransferText.printable(key)): new, held by \(count) of "
                    + "\(reports.count) meta nodes that answer")
        }
        for key in former where !retired.contains(key) {
            lines.append("master key \(TransferText.printable(key)): replaced, still needed")
        }
        let waiting = reports.flatMap(\.waiting)
        for group in Set(waiting.map(\.group)).sorted() {
            let secrets = waiting.filter { $0.group == group }.map(\.secrets).max() ?? 0
            if secrets > 0 {
                lines.append("group \(group): \(secrets) secrets wait under older master keys")
            }
        }
        for key in retired where held.contains(where: { $0.contains(key) }) {
            lines.append(
                "master key \(TransferText.printable(key)): retired, may be dropped")
        }
        return lines
    }

    private var statuses: [NodeStatus] { self.asked.compactMap(\.status) }

    private static func distinct(_ texts: [String]) -> [String] {
        var seen: [String] = []
        for text in texts where !seen.contains(text) { seen.append(text) }
        return seen
    }

    /// Columns as wide as their widest cell, two blanks apart; a row may end early.
    private static func aligned(_ rows: [[String]]) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.compactMap { column < $0.count - 1 ? $0[column].count : nil }.max() ?? 0
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 2)
            }.joined()
        }
    }
}

extension AskedNode {
    package var masterKeys: NodeStatus.MasterKeys? { self.status?.masterKeys }

    var status: NodeStatus? {
        switch self.answer {
        case .success(let status): status
        case .failure: nil
        }
    }
}
