import Primitives

/// What a person and a program read of a report.
extension StoreReport {
    /// A line for each count, then one for each bad chunk that is named.
    package var table: String {
        let width = self.counts.map(\.title.count).max() ?? 0
        var lines = self.counts.map { count in
            count.title + String(repeating: " ", count: width - count.title.count + 2)
                + "\(count.value)"
        }
        if !self.hasIndex { lines.append("no index: the next start makes it from the segments") }
        for chunk in self.bad {
            let place = "segment \(String(chunk.segment, radix: 16)), offset \(chunk.offset)"
            lines.append(
                chunk.frames.isEmpty
                    ? "bad: chunk \(chunk.name): no record of it stands at \(place)"
                    : "bad: chunk \(chunk.name) at \(place): "
                        + (chunk.frames.count == 1 ? "frame " : "frames ")
                        + chunk.frames.map(String.init).joined(separator: ", "))
        }
        if self.bad.count < self.badChunks {
            lines.append("and \(self.badChunks - self.bad.count) more bad chunks")
        }
        lines.append(self.isSound ? "sound" : "damaged")
        return lines.joined(separator: "\n") + "\n"
    }

    /// One object (RFC 8259). Numbers and names in hexadecimal need no escapes.
    package var json: String {
        let counts = self.counts.map { "\"\($0.key)\":\($0.value)" }
        let bad = self.bad.map { chunk in
            "{\"chunk\":\"\(chunk.name)\",\"segment\":\(chunk.segment),"
                + "\"offset\":\(chunk.offset),\"frames\":\(chunk.frames)}"
        }
        return "{\"sound\":\(self.isSound),\"hasIndex\":\(self.hasIndex),"
            + counts.joined(separator: ",") + ",\"bad\":[" + bad.joined(separator: ",") + "]}\n"
    }

    private var counts: [(title: String, key: String, value: Int)] {
        [
            ("segments", "segments", self.segments),
            ("records", "records", self.records),
            ("live chunks", "live", self.live),
            ("deleted or replaced, not yet given back", "void", self.void),
            ("tombstones", "tombstones", self.tombstones),
            ("torn", "torn", self.torn),
            ("bad chunks", "badChunks", self.badChunks),
            ("bad frames", "badFrames", self.badFrames),
            ("index rows missing", "rowsMissing", self.rowsMissing),
            ("index rows surplus", "rowsSurplus", self.rowsSurplus),
            ("not yet in the index", "notYetIndexed", self.notYetIndexed),
        ]
    }
}
