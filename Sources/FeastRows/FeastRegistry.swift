import FeatureModel
import ServingProtos
import SwiftProtobuf

/// What a Feast registry file says of the rows of one project.
package struct FeastRegistry: Sendable {
    /// What is wrong with a registry.
    package struct DecodingError: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    /// The largest file that is read, in bytes.
    package static let maximumBytes = 256 << 20

    /// By name.
    package let views: [String: FeastView]
    /// Service name → `view:feature`, in order.
    package let services: [String: [String]]
    /// What is defined and can't be served, with the reason: a view, or one feature as `view:feature`.
    package let refused: [String: String]
    /// Services that can't be served, with the reason.
    package let refusedServices: [String: String]

    /// Reads the definitions of a project out of a registry's bytes. With `versionedNames` rows lie under a view's name and version,
    /// as `registry.enable_online_feature_view_versioning` of `feature_store.yaml` makes Feast store them. Throws for bytes that
    /// are no registry, and for a registry without the project.
    package init(_ bytes: [UInt8], project: String, versionedNames: Bool = false) throws(DecodingError) {
        guard bytes.count <= Self.maximumBytes else {
            throw DecodingError(description: "the registry is over \(Self.maximumBytes) bytes")
        }
        let registry: Feast_Core_Registry
        do {
            var options = BinaryDecodingOptions()
            options.discardUnknownFields = true
            registry = try Feast_Core_Registry(serializedBytes: bytes, options: options)
        } catch {
            throw DecodingError(description: "the file is no registry of Feast")
        }
        let entities = Self.entities(registry, project)
        var views: [String: FeastView] = [:]
        var refused = Self.computedViews(registry, project)
        for view in Self.storedViews(registry) where view.spec.project == project {
            do {
                let (read, features) = try FeastView.read(view, entities, versionedNames: versionedNames)
                views[read.name] = read
                refused.merge(features) { $1 }
            } catch {
                refused[view.spec.name] = error.description
            }
        }
        guard !views.isEmpty || !refused.isEmpty else { throw Self.noProject(registry, project) }
        self.views = views
        self.refused = refused
        (services, refusedServices) = Self.services(registry, project, views, refused)
    }

    private static func noProject(_ registry: Feast_Core_Registry, _ project: String) -> DecodingError {
        let others = Set(storedViews(registry).map(\.spec.project)).sorted().prefix(5)
        let hint = others.isEmpty ? "it has none at all" : "it has those of \(others.joined(separator: ", "))"
        return DecodingError(description: "the registry has no feature views of project \(project); \(hint)")
    }

    private static func entities(_ registry: Feast_Core_Registry, _ project: String) -> [String: Feast_Core_EntitySpec]
    {
        Dictionary(
            registry.entities.map(\.spec).filter { $0.project == project }.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first })
    }

    /// The views whose rows Feast stores: those of streams lie as the others do.
    private static func storedViews(_ registry: Feast_Core_Registry) -> [Feast_Core_FeatureView] {
        registry.featureViews
            + registry.streamFeatureViews.map { stream in
                .with {
                    $0.spec.name = stream.spec.name
                    $0.spec.project = stream.spec.project
                    $0.spec.entities = stream.spec.entities
                    $0.spec.features = stream.spec.features
                    $0.spec.entityColumns = stream.spec.entityColumns
                    $0.spec.ttl = stream.spec.ttl
                    $0.spec.online = stream.spec.online
                    $0.meta = stream.meta
                }
            }
    }

    private static func computedViews(_ registry: Feast_Core_Registry, _ project: String) -> [String: String] {
        var refused: [String: String] = [:]
        for view in registry.onDemandFeatureViews where view.spec.project == project {
            refused[view.spec.name] = "it is an on-demand view, whose values Feast computes in Python"
        }
        for view in registry.labelViews where view.spec.project == project {
            refused[view.spec.name] = "it is a label view, which is not for serving"
        }
        return refused
    }

    private static func services(
        _ registry: Feast_Core_Registry, _ project: String, _ views: [String: FeastView], _ refused: [String: String]
    ) -> ([String: [String]], refused: [String: String]) {
        var services: [String: [String]] = [:]
        var refusals: [String: String] = [:]
        for service in registry.featureServices.map(\.spec) where service.project == project {
            if let reason = service.features.lazy.compactMap({ Self.refusal($0, views, refused) }).first {
                refusals[service.name] = reason
            } else {
                services[service.name] = service.features.flatMap { projection in
                    projection.featureColumns.map { "\(projection.featureViewName):\($0.name)" }
                }
            }
        }
        return (services, refusals)
    }

    /// Why a service with this part can't be served; `nil` when it can.
    private static func refusal(
        _ projection: Feast_Core_FeatureViewProjection, _ views: [String: FeastView], _ refused: [String: String]
    ) -> String? {
        let name = projection.featureViewName
        if !projection.nameAlias.isEmpty, projection.nameAlias != name {
            return "view \(name) has another name in it, \(projection.nameAlias)"
        }
        if projection.joinKeyMap.contains(where: { $0.key != $0.value }) {
            return "view \(name) is joined by other keys in it"
        }
        guard let view = views[name] else {
            return "view \(name) in it can't be served: \(refused[name] ?? "it isn't in the registry")"
        }
        guard let column = projection.featureColumns.first(where: { view.feature($0.name) == nil }) else { return nil }
        let reason = refused["\(name):\(column.name)"] ?? "its view has no such feature"
        return "feature \(name):\(column.name) in it can't be served: \(reason)"
    }
}
