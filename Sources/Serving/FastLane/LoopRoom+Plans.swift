import FeatureModel
import NIOCore
import OnlineStore
import Telemetry

extension LoopRoom {
    /// The plan of what a request asks for, compiled unless this loop has it.
    ///
    /// - Throws: `WireError` and `LookupError` for features that can't be asked for, `LookupFault` where the wire has words
    ///   of its own for that.
    func plan(for request: LookupRequestBody, in body: ByteBuffer, route: LookupRoute) throws -> CachedPlan {
        let generation = serving.catalog.generation
        let start = body.readerIndex + request.selection.lowerBound
        let known = unsafe body.withUnsafeReadableBytes { bytes in
            let range = request.selection.clamped(to: 0..<bytes.count)
            return unsafe plans.plan(UnsafeRawBufferPointer(rebasing: bytes[range]), generation: generation)
        }
        if let known { return known }
        guard let catalog = serving.catalog.current else { throw LookupFault.noCatalog }
        let key = body.getBytes(at: start, length: request.selection.count) ?? []
        let features = try features(of: request, in: body, catalog, route)
        let plan: LookupPlan
        do {
            plan = try catalog.plan(features: features)
        } catch {
            guard route == .feast, let fault = Self.fault(features, catalog) else { throw error }
            throw LookupFault.feast(fault)
        }
        serving.metrics.plansCompiled.add()
        let cached = CachedPlan(key: key, plan: plan, metrics: serving.metrics)
        plans.insert(cached)
        return cached
    }

    private func features(
        of request: LookupRequestBody, in body: ByteBuffer, _ catalog: ServingCatalog, _ route: LookupRoute
    ) throws -> [FeatureReference] {
        guard request.isService else { return try FeatureSelection.features(body, request, limits: limits) }
        let name = try FeatureSelection.service(body, request, limits: limits)
        if route == .feast, catalog.services[name] == nil, catalog.refusal(ofService: name) == nil {
            let hint = Nearest.hint(name, among: Array(catalog.services.keys))
            throw LookupFault.feast(.serviceNotFound(name, project: catalog.project, hint: hint))
        }
        return try catalog.features(ofService: name)
    }

    /// Feast's word for the first feature that isn't there.
    private static func fault(_ features: [FeatureReference], _ catalog: ServingCatalog) -> FeastFault? {
        for reference in features {
            // The error has the reason.
            if catalog.refusal(reference) != nil { return nil }
            switch catalog.views[reference.view] {
            case .filled(let view, _):
                guard !view.features.contains(where: { $0.name == reference.feature }) else { continue }
                let hint = Nearest.hint(reference.feature, among: view.features.map(\.name))
                return .featureNotFound(reference, hint: hint)
            case nil:
                let hint = Nearest.hint(reference.view, among: catalog.viewNames)
                return .viewNotFound(reference.view, project: catalog.project, hint: hint)
            case .unfilled, .unreadable: return nil
            }
        }
        return nil
    }
}

/// Why there is no plan, where neither the wire nor the store has a word for it.
enum LookupFault: Error {
    case noCatalog
    case feast(FeastFault)
}
