import Signing
import Telemetry

/// What a door of links counts.
struct LinkMetrics: Sendable {
    private let followed: Counter
    private let refused: Counter
    private let withdrawn: Counter

    init(_ registry: MetricsRegistry) {
        self.followed = registry.counter(
            "holdfast_links_followed_total", help: "Requests that their link allowed.")
        self.refused = registry.counter(
            "holdfast_links_refused_total",
            help: "Requests that came with a link which did not allow them.")
        self.withdrawn = registry.counter(
            "holdfast_links_withdrawn_refused_total",
            help: "Requests refused because their link was withdrawn before its end.")
    }

    func allowed() { self.followed.add() }

    func refused(_ refusal: LinkRefusal) {
        self.refused.add()
        switch refusal {
        case .staleEpoch, .revoked: self.withdrawn.add()
        case .malformed, .unknownKey, .badSignature, .notYetValid, .expired, .wrongMethod,
            .wrongPath, .wrongNetwork:
            break
        }
    }
}
