import Primitives

/// Prometheus' text format, version 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
enum Exposition {
    /// Upper bounds of the exposed buckets, as powers of two of microseconds: 64 us to 67 s.
    static let bucketExponents = 6...26

    static func write(
        _ metric: Metric, name: String, labels: String, into text: inout String
    ) {
        let braced = labels.isEmpty ? "" : "{\(labels)}"
        switch metric {
        case .counter(let counter): text += "\(name)\(braced) \(counter.value)\n"
        case .gauge(let gauge):
            text += "\(name)\(braced) \(Self.number(gauge.value, decimals: gauge.decimals))\n"
        case .histogram(let histogram):
            let snapshot = histogram.snapshot
            let before = labels.isEmpty ? "" : labels + ","
            for exponent in Self.bucketExponents {
                // Recorded spans are rounded down, so "below the bound" is "at most the bound"
                // but for a span that hits it to the nanosecond.
                let bound = Self.seconds(1 << UInt64(exponent))
                let count = snapshot.count(belowPowerOfTwo: exponent)
                text += "\(name)_bucket{\(before)le=\"\(bound)\"} \(count)\n"
            }
            text += "\(name)_bucket{\(before)le=\"+Inf\"} \(snapshot.count)\n"
            text += "\(name)_sum\(braced) \(Self.seconds(snapshot.sumMicroseconds))\n"
            text += "\(name)_count\(braced) \(snapshot.count)\n"
        }
    }

    /// A number whose last digits stand behind the point.
    static func number(_ value: Int64, decimals: Int) -> String {
        guard decimals > 0 else { return "\(value)" }
        let digits = String(value.magnitude)
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return (value < 0 ? "-" : "") + padded.dropLast(decimals) + "." + padded.suffix(decimals)
    }

    /// `a="x",b="y"`, sorted by label, values escaped.
    static func labels(_ labels: KeyValuePairs<String, String>) -> String {
        let sorted = labels.sorted { $0.key < $1.key }
        for (earlier, later) in zip(sorted, sorted.dropFirst()) {
            invariant(earlier.key != later.key, "the label \(later.key) is given twice")
        }
        return sorted.map { label, value in
            invariant(
                Self.isName(label) && !label.contains(":"), "\(label) is not the name of a label")
            return "\(label)=\"\(Self.escapedLabel(value))\""
        }.joined(separator: ",")
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func isName(_ name: String) -> Bool {
        for (position, byte) in name.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "_"), UInt8(ascii: ":"):
                continue
            case UInt8(ascii: "0")...UInt8(ascii: "9") where position > 0: continue
            default: return false
            }
        }
        return !name.isEmpty
    }

    static func escapedHelp(_ text: String) -> String {
        Self.escaped(text, quotes: false)
    }

    private static func escapedLabel(_ text: String) -> String {
        Self.escaped(text, quotes: true)
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Microseconds as decimal seconds, without a detour through floating point.
    private static func seconds(_ microseconds: UInt64) -> String {
        let fraction = microseconds % 1_000_000
        guard fraction > 0 else { return "\(microseconds / 1_000_000)" }
        var digits = String(fraction)
        digits = String(repeating: "0", count: 6 - digits.utf8.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(microseconds / 1_000_000).\(digits)"
    }
}
