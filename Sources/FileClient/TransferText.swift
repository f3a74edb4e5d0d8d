import Primitives

/// What a person is told of a transfer while it runs and when it has ended.
package struct TransferText: Sendable {
    private let verb: String
    private let start: Instant
    /// Older first: what had been done at which time, over the last `rateWindow`.
    private var samples: [(at: Instant, bytes: UInt64)] = []

    /// The rate is that of so much of the recent past.
    package static let rateWindow: Duration = .seconds(10)
    private static let mostSamples = 128
    private static let barColumns = 24

    /// - Parameter verb: what is done, as a past participle: `stored`.
    package init(_ verb: String, start: Instant) {
        self.verb = verb
        self.start = start
    }

    /// Takes note of how far the transfer is; to be called now and then.
    package mutating func sample(_ counts: TransferProgress.Counts, at now: Instant) {
        self.samples.append((now, counts.bytesDone))
        while self.samples.count > Self.mostSamples
            || (self.samples.count > 2 && now - self.samples[1].at >= Self.rateWindow)
        { self.samples.removeFirst() }
    }

    /// In the recent past; nil while too little is known.
    package var bytesPerSecond: UInt64? {
        guard let first = self.samples.first, let last = self.samples.last else { return nil }
        let span = (last.at - first.at).wholeNanoseconds
        guard span > 0, last.bytes >= first.bytes else { return nil }
        return UInt64(Double(last.bytes - first.bytes) / Double(span) * 1e9)
    }

    /// One line for a log.
    package func line(_ counts: TransferProgress.Counts) -> String {
        let open = counts.isTotalKnown ? "" : "+"
        var parts = [
            "\(self.verb) \(counts.filesDone + counts.filesSame)/\(counts.files)\(open) files"
        ]
        if counts.bytes > 0 {
            parts.append(
                "\(Self.size(counts.bytesDone + counts.bytesKept)) of \(Self.size(counts.bytes))\(open)"
            )
        }
        if counts.bytes > 0, let rate = self.bytesPerSecond {
            parts.append("\(Self.size(rate))/s")
            if counts.isTotalKnown, rate > 0 {
                parts.append("\(Self.span(seconds: self.bytesLeft(counts) / rate)) left")
            }
        }
        if counts.filesFailed > 0 { parts.append("\(counts.filesFailed) failed") }
        return parts.joined(separator: ", ")
    }

    /// One line for a terminal of so many columns.
    package func bar(_ counts: TransferProgress.Counts, columns: Int) -> String {
        let line = self.line(counts)
        guard counts.isTotalKnown, columns > line.count + Self.barColumns + 4 else {
            return String(line.prefix(max(0, columns - 1)))
        }
        // Files count like a kilobyte each: many empty ones are work too.
        let whole = counts.bytes + UInt64(counts.files) * 1000
        let gone = UInt64(counts.filesDone + counts.filesSame + counts.filesFailed) * 1000
        let done = counts.bytesDone + counts.bytesKept + counts.bytesFailed + gone
        let share = whole == 0 ? 1 : min(1, Double(done) / Double(whole))
        let filled = Int(share * Double(Self.barColumns))
        return "[" + String(repeating: "#", count: filled)
            + String(repeating: ".", count: Self.barColumns - filled) + "] " + line
    }

    /// What came of it.
    package func summary(_ counts: TransferProgress.Counts, at now: Instant) -> String {
        let seconds = Double((now - self.start).wholeNanoseconds) / 1e9
        let tenths = Int((seconds * 10).rounded())
        var text = "\(self.verb) \(Self.counted(counts.filesDone, "file"))"
        // What is only removed has no bytes that travel.
        if counts.bytes > 0 { text += ", \(Self.size(counts.bytesDone))" }
        text += " in \(tenths / 10).\(tenths % 10) s"
        let keptInParts = counts.bytesKept - counts.bytesSame
        if keptInParts > 0 { text += "; \(Self.size(keptInParts)) were there from an earlier run" }
        if counts.filesSame > 0 { text += "; \(counts.filesSame) were the same already" }
        if counts.filesFailed > 0 { text += "; \(counts.filesFailed) failed" }
        if counts.filesSkipped > 0 { text += "; \(counts.filesSkipped) skipped" }
        return text
    }

    /// What an unfinished transfer leaves behind; nil when it is nothing.
    package static func standing(_ counts: TransferProgress.Counts) -> String? {
        guard counts.bytesStanding > 0 else { return nil }
        return "\(Self.size(counts.bytesStanding)) of what is unfinished are kept: "
            + "the same command goes on from there"
    }

    private func bytesLeft(_ counts: TransferProgress.Counts) -> UInt64 {
        let gone = counts.bytesDone + counts.bytesKept + counts.bytesFailed
        return counts.bytes > gone ? counts.bytes - gone : 0
    }

    package static func counted(_ count: Int, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }

    /// `999 B`, `1.2 MB`: powers of ten, cut after one digit.
    package static func size(_ bytes: UInt64) -> String {
        guard bytes >= 1000 else { return "\(bytes) B" }
        var unit: UInt64 = 1000
        var names = ["kB", "MB", "GB", "TB", "PB", "EB"][...]
        while names.count > 1, bytes / unit >= 1000 {
            unit *= 1000
            names.removeFirst()
        }
        let tenths = bytes / (unit / 10)
        return "\(tenths / 10).\(tenths % 10) \(names.first ?? "")"
    }

    /// `45 s`, `3 min`, `2 h 5 min`.
    package static func span(seconds: UInt64) -> String {
        switch seconds {
        case ..<100: "\(seconds) s"
        case ..<6000: "\((seconds + 30) / 60) min"
        case ..<360_000: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        default: "\(seconds / 86_400) d"
        }
    }

    /// Text that others chose, fit for a terminal: control characters, which could move the cursor
    /// or change what is shown, are written out.
    package static func printable(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars {
            if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) {
                shown += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }
}
