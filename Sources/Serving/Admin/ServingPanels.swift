package import Resilience

/// The serving daemon's breakers and limits as the admin listener shows them.
package struct ServingPanels: BreakerPanel, LimitPanel {
    private let serving: ServingContext

    package init(_ serving: ServingContext) {
        self.serving = serving
    }

    package func breakers() -> [BreakerReading] { [serving.gate.reading] }

    package func set(
        _ name: String, _ override: OverridableBreaker.Override?
    ) -> (before: BreakerReading, after: BreakerReading)? {
        guard name == serving.gate.reading.name else { return nil }
        return serving.gate.force(override)
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
