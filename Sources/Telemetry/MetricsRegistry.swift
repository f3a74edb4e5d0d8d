import Primitives
import Synchronization

/// The metrics of one node, by name and labels. A value that is passed in: there is no global one,
/// so that many nodes in one process do not count into each other's metrics.
///
/// Asking twice for one name and labels gives the same metric. A name has one kind and one help
/// text; labels are for few and known values (a node, a group, a verb), never for keys or people.
package struct MetricsRegistry: Sendable {
    /// At most so many series; asking for one more is a mistake in the choice of labels.
    package static let seriesLimit = 20_000

    private let families: Families

    package init() { self.families = Families() }

    /// A counter; by convention its name ends in `_total`.
    package func counter(
        _ name: String, _ labels: KeyValuePairs<String, String> = [:], help: String
    ) -> Counter {
        guard case .counter(let counter) = self.metric(name, labels, help, { .counter(Counter()) })
        else { Self.brokenKind(name) }
        return counter
    }

    /// - Parameter decimals: how many of the level's digits stand behind the point: a level in
    ///   thousandths has three.
    package func gauge(
        _ name: String, _ labels: KeyValuePairs<String, String> = [:], decimals: Int = 0,
        help: String
    ) -> Gauge {
        guard
            case .gauge(let gauge) =
                self.metric(name, labels, help, { .gauge(Gauge(decimals: decimals)) })
        else { Self.brokenKind(name) }
        return gauge
    }

    /// A histogram of time; exposed in seconds, so by convention its name ends in `_seconds`.
    package func histogram(
        _ name: String, _ labels: KeyValuePairs<String, String> = [:], help: String
    ) -> Histogram {
        guard
            case .histogram(let histogram) =
                self.metric(name, labels, help, { .histogram(Histogram()) })
        else { Self.brokenKind(name) }
        return histogram
    }

    /// All metrics in Prometheus' text format (version 0.0.4), sorted by name and labels.
    package var exposition: String {
        let families = self.families.byName.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(Exposition.escapedHelp(family.help))\n"
            text += "# TYPE \(name) \(family.kind)\n"
            for (labels, metric) in family.series.sorted(by: { $0.key < $1.key }) {
                Exposition.write(metric, name: name, labels: labels, into: &text)
            }
        }
        return text
    }

    private func metric(
        _ name: String, _ labels: KeyValuePairs<String, String>, _ help: String,
        _ make: () -> Metric
    ) -> Metric {
        invariant(Exposition.isName(name), "\(name) is not the name of a metric")
        let rendered = Exposition.labels(labels)
        return self.families.byName.withLock { families in
            if let known = families[name]?.series[rendered] { return known }
            let metric = make()
            let series = families.values.reduce(0) { $0 + $1.series.count }
            invariant(series < Self.seriesLimit, "\(name) would be one metric series too many")
            families[name, default: Family(kind: metric.kind, help: help)].series[rendered] = metric
            return metric
        }
    }

    private static func brokenKind(_ name: String) -> Never {
        brokenInvariant("the metric \(name) is of another kind")
    }
}

private final class Families: Sendable {
    let byName = Mutex<[String: Family]>([:])
}

private struct Family: Sendable {
    let kind: String
    let help: String
    /// By their labels as they are exposed, without braces.
    var series: [String: Metric] = [:]
}

enum Metric: Sendable {
    case counter(Counter)
    case gauge(Gauge)
    case histogram(Histogram)

    var kind: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}
