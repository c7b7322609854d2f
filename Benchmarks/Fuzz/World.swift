import FeatureModel
import Foundation
import OnlineStore
import Serving

/// What requests are about: the views, a catalog over them, and requests that are as they should be.
struct World: Sendable {
    /// The route that a body is meant for.
    enum Route: Int, CaseIterable, Sendable {
        case lookup, feast, push, write, materialize

        var path: String {
            switch self {
            case .lookup: "/v1/lookup"
            case .feast: "/get-online-features"
            case .push: "/push"
            case .write: "/write-to-online-store"
            case .materialize: "/materialize-incremental"
            }
        }
    }

    let views: [FeatureView]
    let catalog: ServingCatalog
    /// Bodies that are answered with 200, or would be.
    let bodies: [(route: Route, bytes: [UInt8])]

    init(_ files: [String]) throws {
        let texts = try files.map { ($0, [UInt8](try Data(contentsOf: URL(fileURLWithPath: $0)))) }
        let compiled = try Catalog.compile(project: "fuzz", files: texts)
        views = compiled.views
        var states: [String: ServingCatalog.ViewState] = [:]
        for view in compiled.views { states[view.name] = .filled(view, version: 1) }
        catalog = ServingCatalog(
            generation: 1, project: "fuzz", hash: "", appliedAt: 0, viewNames: views.map(\.name), views: states,
            services: Dictionary(
                compiled.services.map { ($0.name, $0.features) }, uniquingKeysWith: { first, _ in first }))
        bodies = Self.bodies(compiled)
    }

    private static func bodies(_ catalog: Catalog) -> [(route: Route, bytes: [UInt8])] {
        var bodies: [(Route, String)] = []
        for view in catalog.views {
            let features = view.features.map { "\"\(view.name):\($0.name)\"" }.joined(separator: ",")
            let keys = view.entity.keys
            let row = keys.map { "\"\($0.name)\":\(key($0))" }.joined(separator: ",")
            let columns = keys.map { "\"\($0.name)\":[\(key($0)),\(key($0))]" }.joined(separator: ",")
            bodies.append((.lookup, "{\"features\":[\(features)],\"entities\":[{\(row)},{\(row)}],\"ages\":true}"))
            bodies.append(
                (.feast, "{\"features\":[\(features)],\"entities\":{\(columns)},\"full_feature_names\":true}"))
            let values = view.features.map { "\"\($0.name)\":[\(value($0.type))]" }.joined(separator: ",")
            let one = keys.map { "\"\($0.name)\":[\(key($0))]" }.joined(separator: ",")
            let frame = "{\(one),\(values),\"event_timestamp\":[\"2024-05-01T12:00:00.250\"]}"
            bodies.append((.push, "{\"push_source_name\":\"\(view.name)\",\"df\":\(frame),\"to\":\"online\"}"))
            bodies.append((.write, "{\"feature_view_name\":\"\(view.name)\",\"df\":\(frame)}"))
        }
        for service in catalog.services {
            bodies.append(
                (.lookup, "{\"service\":\"\(service.name)\",\"entities\":[{\"user_id\":1,\"item_id\":\"i1\"}]}"))
            bodies.append(
                (
                    .feast,
                    "{\"feature_service\":\"\(service.name)\",\"entities\":{\"user_id\":[1],\"item_id\":[\"i1\"]},"
                        + "\"include_feature_view_version_metadata\":true}"
                ))
        }
        let names = catalog.views.map { "\"\($0.name)\"" }.joined(separator: ",")
        bodies.append((.materialize, "{\"end_ts\":\"2024-05-02T00:00:00\",\"feature_views\":[\(names)]}"))
        return bodies.map { ($0.0, Array($0.1.utf8)) }
    }

    private static func key(_ key: Entity.Key) -> String {
        switch key.type {
        case .int32, .int64: "1"
        case .string: "\"i1\""
        case .bytes: "\"AAE=\""
        }
    }

    private static func value(_ type: FeatureType) -> String {
        switch type {
        case .scalar(let scalar): value(scalar)
        case .list(let scalar): "[\(value(scalar)),\(value(scalar))]"
        case .vector(let dimension): "[\(Array(repeating: "0.5", count: dimension).joined(separator: ","))]"
        }
    }

    private static func value(_ scalar: ScalarType) -> String {
        switch scalar {
        case .bool: "true"
        case .int32, .int64: "7"
        case .float32, .float64: "0.25"
        case .string: "\"Zo\\u00eb\""
        case .bytes: "\"AAE=\""
        case .timestamp: "\"2024-05-01T12:00:00Z\""
        }
    }
}
