import Telemetry

extension ServingContext {
    /// Shows catalog and admission as they are when the metrics page is asked for.
    func collectControlMetrics() {
        let registry = metrics.registry
        let (generation, age) = (registry.gauge(.catalogGeneration), registry.gauge(.catalogAgeSeconds))
        let problems = registry.gauge(.catalogProblems)
        let (limit, inFlight) = (registry.gauge(.admissionLimit), registry.gauge(.admissionInFlight))
        registry.addCollector { [catalog, admission] in
            let status = catalog.status
            generation.set(Double(status.generation))
            problems.set(Double(status.problems.count))
            if let known = status.age(at: .now) { age.set(known / .seconds(1)) }
            let admitted = admission.status
            limit.set(Double(admitted.limit))
            inFlight.set(Double(admitted.inFlight))
        }
    }
}
