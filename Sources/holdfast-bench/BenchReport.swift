import Primitives

/// What became of one operation.
enum BenchOutcome: Equatable {
    case done
    /// A read whose bytes were compared.
    case verified
    case wrongValue
    case failed
}

/// What one client has seen. Every latency is kept, so that percentiles are exact.
struct BenchTally: Sendable {
    private(set) var latencies: [Float] = []
    private(set) var verified = 0
    private(set) var wrongValues = 0
    private(set) var errors = 0

    mutating func record(_ outcome: BenchOutcome, took span: Duration) {
        switch outcome {
        case .done: break
        case .verified: self.verified += 1
        case .wrongValue: self.wrongValues += 1
        case .failed:
            self.errors += 1
            return
        }
        self.latencies.append(Float(span.wholeNanoseconds) / 1e6)
    }

    mutating func add(_ other: BenchTally) {
        self.latencies += other.latencies
        self.verified += other.verified
        self.wrongValues += other.wrongValues
        self.errors += other.errors
    }
}

/// A workload's outcome as one line of JSON, with the field names of the peers' generators.
struct BenchReport {
    let operation: String
    let valueBytes: Int
    let clients: Int
    let operations: Int
    let wrongValues: Int
    let json: String

    init(
        operation: String, valueBytes: Int, clients: Int, tally: BenchTally, elapsed: Duration,
        processorTime: Duration
    ) {
        let sorted = tally.latencies.sorted()
        let seconds = Double(elapsed.wholeNanoseconds) / 1e9
        let rate = Double(sorted.count) / seconds
        let processor = Double(processorTime.wholeNanoseconds) / 1e9 / seconds
        /// The least latency, in milliseconds, that `fraction` of the operations do not exceed.
        func percentile(_ fraction: Double) -> String {
            guard !sorted.isEmpty else { return "0" }
            let rank = max(1, Int((fraction * Double(sorted.count)).rounded(.up)))
            return Self.decimal(Double(sorted[rank - 1]))
        }
        self.operation = operation
        self.valueBytes = valueBytes
        self.clients = clients
        self.operations = sorted.count
        self.wrongValues = tally.wrongValues
        let fields: [(String, String)] = [
            ("name", "\"\""), ("op", "\"\(operation)\""), ("auth", "\"peer\""),
            ("size", "\(valueBytes)"), ("conns", "\(clients)"), ("ops", "\(sorted.count)"),
            ("errs", "\(tally.errors)"), ("bad", "\(tally.wrongValues)"),
            ("secs", Self.decimal(seconds)), ("ops_s", Self.decimal(rate)),
            ("mb_s", Self.decimal(rate * Double(valueBytes) / 1e6)),
            ("p50", percentile(0.5)), ("p90", percentile(0.9)), ("p99", percentile(0.99)),
            ("p999", percentile(0.999)), ("max", percentile(1)),
            ("verified", "\(tally.verified)"), ("gen_cpu", Self.decimal(processor)),
        ]
        self.json = "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    /// With three digits behind the point.
    static func decimal(_ value: Double) -> String {
        let thousandths = Int((value * 1000).rounded())
        let digits = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - digits.utf8.count)
            + digits
    }
}
