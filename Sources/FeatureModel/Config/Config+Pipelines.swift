extension Config {
    /// The pipeline of that name, if there is one.
    package func pipeline(_ name: String) -> PipelineConfig? { pipelines.first { $0.name == name } }

    /// Checks that what pipelines name is in the catalog and of a fitting type.
    ///
    /// - Throws: One error for each name that doesn't.
    package func validatePipelines(_ catalog: Catalog) throws(DefinitionErrors) {
        var diagnostics = Diagnostics()
        for pipeline in pipelines {
            var check = PipelineCheck(pipeline: pipeline, catalog: catalog)
            check.run(into: &diagnostics)
        }
        try diagnostics.throwIfAny(order: [file])
    }
}

/// Holds one pipeline against a catalog.
private struct PipelineCheck {
    let pipeline: PipelineConfig
    let catalog: Catalog

    mutating func run(into diagnostics: inout Diagnostics) {
        entity(pipeline.user, "user", into: &diagnostics)
        if let item = entity(pipeline.item, "item", into: &diagnostics), item.keys.count != 1 {
            report("item", found: "\(item.name) with \(item.keys.count) keys", "an entity with one key", &diagnostics)
        }
        for source in pipeline.sources {
            list(source.seeds, "recall.\(source.name).seeds", into: &diagnostics)
            segment(source.segment, "recall.\(source.name).segment", into: &diagnostics)
        }
        for filter in pipeline.filters {
            let path = "filters.\(filter.name)"
            switch filter.rule {
            case .notIn(let reference): list(reference, "\(path).not_in", into: &diagnostics)
            case .feature(let reference, let test):
                guard let type = scalar(reference, of: pipeline.item, "\(path).feature", into: &diagnostics) else {
                    break
                }
                if !test.suits(type) {
                    report(
                        "\(path).feature", found: "a test that no \(type.rawValue) passes",
                        "values of the type of \(reference.view):\(reference.feature), \(type.rawValue)", &diagnostics)
                }
            case .atMost(let reference, _):
                scalar(reference, of: pipeline.item, "\(path).feature", into: &diagnostics)
            case .file: break
            }
        }
        service(into: &diagnostics)
    }

    @discardableResult
    private func entity(_ name: String, _ path: String, into diagnostics: inout Diagnostics) -> Entity? {
        if let entity = catalog.views.first(where: { $0.entity.name == name })?.entity { return entity }
        diagnostics.reportUnknown(
            place(path), full(path), name, kind: "an entity that some view describes",
            among: Array(Set(catalog.views.map(\.entity.name))).sorted())
        return nil
    }

    private func feature(
        _ reference: FeatureReference, of entity: String, _ path: String, into diagnostics: inout Diagnostics
    ) -> FeatureType? {
        guard let view = catalog.view(reference.view) else {
            diagnostics.reportUnknown(
                place(path), full(path), reference.view, kind: "a view", among: catalog.views.map(\.name))
            return nil
        }
        guard let feature = view.features.first(where: { $0.name == reference.feature }) else {
            diagnostics.reportUnknown(
                place(path), full(path), reference.feature, kind: "a feature of \(view.name)",
                among: view.features.map(\.name))
            return nil
        }
        guard view.entity.name == entity else {
            report(path, found: "\(view.name), a view of \(view.entity.name)", "a view of \(entity)", &diagnostics)
            return nil
        }
        return feature.type
    }

    private func list(_ reference: FeatureReference?, _ path: String, into diagnostics: inout Diagnostics) {
        guard let reference, let type = feature(reference, of: pipeline.user, path, into: &diagnostics) else { return }
        let key = catalog.views.first { $0.entity.name == pipeline.item }?.entity.keys.first?.type
        let wanted: [FeatureType]
        switch key {
        case .int32, .int64: wanted = [.list(.int64), .list(.int32), .scalar(.int64), .scalar(.int32)]
        case .string: wanted = [.list(.string), .scalar(.string)]
        case .bytes: wanted = [.list(.bytes), .scalar(.bytes)]
        case nil: return
        }
        guard !wanted.contains(type) else { return }
        report(path, found: "a \(type.spelling)", "keys of \(pipeline.item): \(wanted[0].spelling)", &diagnostics)
    }

    private func segment(_ reference: FeatureReference?, _ path: String, into diagnostics: inout Diagnostics) {
        guard let reference, let type = feature(reference, of: pipeline.user, path, into: &diagnostics) else { return }
        if case .vector = type {
            report(path, found: "a \(type.spelling)", "a single value, or a list of them", &diagnostics)
        }
    }

    @discardableResult
    private func scalar(
        _ reference: FeatureReference?, of entity: String, _ path: String, into diagnostics: inout Diagnostics
    ) -> ScalarType? {
        guard let reference, let type = feature(reference, of: entity, path, into: &diagnostics) else { return nil }
        if case .scalar(let scalar) = type { return scalar }
        report(path, found: "a \(type.spelling)", "a single value", &diagnostics)
        return nil
    }

    private func service(into diagnostics: inout Diagnostics) {
        guard let name = pipeline.features else { return }
        guard let service = catalog.service(name) else {
            return diagnostics.reportUnknown(
                place("features"), full("features"), name, kind: "a service", among: catalog.services.map(\.name))
        }
        for reference in service.features {
            guard let entity = catalog.view(reference.view)?.entity.name, entity != pipeline.user,
                entity != pipeline.item
            else { continue }
            report(
                "features", found: "\(reference.view):\(reference.feature) of \(entity) in \(name)",
                "features of \(pipeline.user) and \(pipeline.item)", &diagnostics)
        }
    }

    private func report(_ path: String, found: String, _ expected: String, _ diagnostics: inout Diagnostics) {
        diagnostics.report(place(path), full(path), found: found, expected: expected)
    }

    private func place(_ path: String) -> Place { pipeline.places[path] ?? pipeline.place }

    private func full(_ path: String) -> String { "pipelines.\(pipeline.name).\(path)" }
}

extension FilterTest {
    /// Whether some value of the type can pass.
    fileprivate func suits(_ type: ScalarType) -> Bool {
        switch self {
        case .equals(let wanted): wanted.isValue(of: type)
        case .oneOf(let wanted), .noneOf(let wanted): wanted.allSatisfy { $0.isValue(of: type) }
        case .between: type.isNumber || type == .timestamp
        }
    }
}

extension ScalarType {
    fileprivate var isNumber: Bool {
        switch self {
        case .int32, .int64, .float32, .float64: true
        case .bool, .string, .bytes, .timestamp: false
        }
    }
}

extension DocumentValue {
    fileprivate func isValue(of type: ScalarType) -> Bool {
        switch self {
        case .flag: type == .bool
        case .text: type == .string
        case .integer, .number: type.isNumber
        case .null, .list, .mapping: false
        }
    }
}
