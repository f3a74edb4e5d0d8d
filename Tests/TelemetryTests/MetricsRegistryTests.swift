import Telemetry
import Testing

@Suite struct MetricsRegistryTests {
    @Test func `the exposition is sorted by name and labels`() {
        let metrics = MetricsRegistry()
        metrics.counter("writes_total", ["zone": "b", "node": "2"], help: "Writes.").add(3)
        metrics.gauge("bytes_in_flight", help: "Bytes.").set(-4)
        metrics.counter("writes_total", ["node": "1"], help: "Writes.").add()
        #expect(
            metrics.exposition == """
                # HELP bytes_in_flight Bytes.
                # TYPE bytes_in_flight gauge
                bytes_in_flight -4
                # HELP writes_total Writes.
                # TYPE writes_total counter
                writes_total{node="1"} 1
                writes_total{node="2",zone="b"} 3

                """)
    }

    @Test func `the order in which labels are given does not make another series`() {
        let metrics = MetricsRegistry()
        metrics.counter("calls_total", ["a": "1", "b": "2"], help: "").add()
        metrics.counter("calls_total", ["b": "2", "a": "1"], help: "").add()
        #expect(metrics.exposition.contains("calls_total{a=\"1\",b=\"2\"} 2\n"))
    }

    @Test func `a label's value cannot leave its quotes`() {
        let metrics = MetricsRegistry()
        metrics.counter("x_total", ["path": "a\"b\\c\nd"], help: "one\ntwo\\").add()
        #expect(metrics.exposition.contains(#"x_total{path="a\"b\\c\nd"} 1"#))
        #expect(metrics.exposition.contains(#"# HELP x_total one\ntwo\\"#))
    }

    @Test func `a histogram is exposed in seconds, cumulative, with its sum and count`() {
        let metrics = MetricsRegistry()
        let histogram = metrics.histogram("wait_seconds", ["lane": "bulk"], help: "Waits.")
        histogram.record(.microseconds(63))
        histogram.record(.microseconds(64))
        histogram.record(.milliseconds(1_500))
        let lines = metrics.exposition.split(separator: "\n").map(String.init)
        #expect(lines[1] == "# TYPE wait_seconds histogram")
        #expect(lines[2] == #"wait_seconds_bucket{lane="bulk",le="0.000064"} 1"#)
        #expect(lines[3] == #"wait_seconds_bucket{lane="bulk",le="0.000128"} 2"#)
        #expect(lines.contains(#"wait_seconds_bucket{lane="bulk",le="2.097152"} 3"#))
        #expect(
            lines.suffix(3) == [
                #"wait_seconds_bucket{lane="bulk",le="+Inf"} 3"#,
                #"wait_seconds_sum{lane="bulk"} 1.500127"#,
                #"wait_seconds_count{lane="bulk"} 3"#,
            ])
    }
}
