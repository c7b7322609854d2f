import FeatureModel
import GRPCCore
import OnlineStore
import Serving
import Synchronization

/// What a call asks for, compiled.
final class GRPCPlan: Sendable {
    let plan: LookupPlan
    /// `view:feature`, in the order asked.
    let names: [String]
    let types: [FeatureType]
    let versions: [String: Int]
    let bareNames: [String]
    let fullNames: [String]
    /// Names that two features share, without and with the view before them.
    let bareCollisions: [String]
    let fullCollisions: [String]

    init(_ plan: LookupPlan) {
        self.plan = plan
        names = plan.features.map { "\($0.view):\($0.feature)" }
        types = plan.types
        versions = plan.versions
        bareNames = plan.features.map(\.feature)
        fullNames = plan.features.map { "\($0.view)__\($0.feature)" }
        bareCollisions = Self.repeated(bareNames)
        fullCollisions = Self.repeated(fullNames)
    }

    private static func repeated(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        for name in names { counts[name, default: 0] += 1 }
        return counts.filter { $0.value > 1 }.keys.sorted()
    }
}

/// Plans by what was asked, of one catalog. Of a bounded size whatever clients ask for.
final class GRPCPlans: Sendable {
    /// What a call asks for.
    enum Selection: Hashable, Sendable {
        case features([String])
        case service(String)
    }

    private struct State {
        var generation: UInt64 = 0
        var plans: [Selection: GRPCPlan] = [:]
    }

    private static let limit = 512
    private let state = Mutex(State())

    /// The plan under a catalog, compiled unless it is there.
    func plan(_ selection: Selection, _ catalog: ServingCatalog, _ settings: ServerSettings) throws -> GRPCPlan {
        let known = state.withLock { state in
            state.generation == catalog.generation ? state.plans[selection] : nil
        }
        if let known { return known }
        let references = try Self.references(selection, catalog, settings)
        let made: GRPCPlan
        do throws(LookupError) {
            made = GRPCPlan(try catalog.plan(features: references))
        } catch {
            throw Self.fault(references, catalog) ?? RPCError(error)
        }
        state.withLock { state in
            if state.generation != catalog.generation || state.plans.count >= Self.limit { state.plans = [:] }
            state.generation = catalog.generation
            state.plans[selection] = made
        }
        return made
    }

    private static func references(
        _ selection: Selection, _ catalog: ServingCatalog, _ settings: ServerSettings
    ) throws(RPCError) -> [FeatureReference] {
        switch selection {
        case .service(let name):
            guard let features = catalog.services[name] else {
                if let reason = catalog.refusal(ofService: name) {
                    throw RPCError(code: .invalidArgument, message: reason)
                }
                let hint = Nearest.hint(name, among: Array(catalog.services.keys))
                throw RPCError(code: .notFound, message: "there is no service \(name)\(hint)")
            }
            return features
        case .features(let names):
            guard names.count <= settings.features else {
                throw RPCError.tooLarge("\(names.count) features; at most \(settings.features) may be asked for")
            }
            do throws(LookupError) {
                var references: [FeatureReference] = []
                for name in names { references.append(try FeatureReference.parse(name)) }
                return references
            } catch {
                throw RPCError(error)
            }
        }
    }

    /// The word for the first feature that can't be had, where it isn't the request that is wrong.
    private static func fault(_ references: [FeatureReference], _ catalog: ServingCatalog) -> RPCError? {
        for reference in references {
            // The error has the reason.
            if catalog.refusal(reference) != nil { return nil }
            switch catalog.views[reference.view] {
            case .filled(let view, _):
                guard !view.features.contains(where: { $0.name == reference.feature }) else { continue }
                let hint = Nearest.hint(reference.feature, among: view.features.map(\.name))
                return RPCError(
                    code: .notFound, message: "view \(view.name) has no feature \(reference.feature)\(hint)")
            case nil:
                let hint = Nearest.hint(reference.view, among: catalog.viewNames)
                return RPCError(code: .notFound, message: "there is no view \(reference.view)\(hint)")
            case .unfilled:
                return RPCError(code: .unavailable, message: "view \(reference.view) has no filled version yet")
            case .unreadable:
                return RPCError(code: .unavailable, message: "the definition of view \(reference.view) can't be read")
            }
        }
        return nil
    }
}
