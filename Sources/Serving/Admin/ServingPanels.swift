package import Recommend
package import Resilience

/// The serving daemon's breakers and limits as the admin listener shows them.
package struct ServingPanels: BreakerPanel, LimitPanel {
    private let serving: ServingContext
    private let gates: GateBook?

    /// `gates` are those of recommendations.
    package init(_ serving: ServingContext, gates: GateBook? = nil) {
        self.serving = serving
        self.gates = gates
    }

    package func breakers() -> [BreakerReading] {
        [serving.gate.reading] + (gates?.all ?? []).map { BreakerReading(name: $0.name, $0.reading) }
    }

    package func set(
        _ name: String, _ override: OverridableBreaker.Override?
    ) -> (before: BreakerReading, after: BreakerReading)? {
        if name == serving.gate.reading.name { return serving.gate.force(override) }
        guard let (before, after) = gates?.force(name, override) else { return nil }
        return (BreakerReading(name: name, before), BreakerReading(name: name, after))
    }

    package func limits() -> [LimitReading] {
        let (settings, admitted) = (serving.liveSettings, serving.admission.status)
        func limit(_ name: String, _ unit: String, _ limit: Int) -> LimitReading {
            LimitReading(name: name, unit: unit, limit: Int64(limit), used: nil)
        }
        return [
            LimitReading(
                name: "in_flight", unit: "requests", limit: Int64(admitted.limit), used: Int64(admitted.inFlight)),
            limit("connections", "connections", settings.connections), limit("body", "bytes", settings.bodyBytes),
            limit("headers", "headers", settings.headers), limit("header_bytes", "bytes", settings.headerBytes),
            limit("entities", "entities", settings.entities), limit("features", "features", settings.features),
            limit("values", "values", settings.values),
        ]
    }
}

extension BreakerReading {
    fileprivate init(name: String, _ reading: DependencyGate.Reading) {
        self.init(
            name: name, state: reading.override.map { "forced_\($0.rawValue)" } ?? reading.state.rawValue,
            trips: reading.trips)
    }
}
