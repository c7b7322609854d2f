extension Catalog {
    /// Compiles the definition files of a project.
    ///
    /// - Parameters:
    ///   - project: The project's name, from the config.
    ///   - files: Names, as they shall stand in messages, and contents. Read as one, in this order.
    ///   - sources: The names of the configured sources, for views to be checked against; `nil` checks none.
    /// - Returns: The catalog, with views and services in the order of the files.
    /// - Throws: Everything that is wrong in all of them.
    package static func compile(
        project: String, files: [(name: String, text: [UInt8])], sources: [String]? = nil
    ) throws(DefinitionErrors) -> Catalog {
        var compiler = CatalogCompiler(project: project, sources: sources)
        compiler.read(files)
        let catalog = compiler.compile()
        try compiler.diagnostics.throwIfAny(order: files.map(\.name))
        return catalog
    }
}

/// Merges files of definitions and builds the catalog.
private struct CatalogCompiler {
    private static let starter = """
        entities: {user: {keys: {user_id: int64}}} and, under views:, what to keep for each user
        """

    let project: String
    let sources: [String]?
    var diagnostics = Diagnostics()
    private var firstPlace: Place?
    private var entities: [YAMLNode.Entry] = []
    private var views: [YAMLNode.Entry] = []
    private var services: [YAMLNode.Entry] = []
    private var hasBrokenFile = false

    init(project: String, sources: [String]?) {
        self.project = project
        self.sources = sources
    }

    mutating func read(_ files: [(name: String, text: [UInt8])]) {
        if !TextRule.key.accepts(project) {
            diagnostics.report(
                Place(file: files.first?.name ?? "", line: 1, column: 1), "project", found: Text.quoted(project),
                expected: TextRule.key.expected)
        }
        for file in files {
            firstPlace = firstPlace ?? Place(file: file.name, line: 1, column: 1)
            guard
                let node = YAMLReader.read(
                    file: file.name, bytes: file.text, starter: Self.starter, into: &diagnostics)
            else {
                hasBrokenFile = true
                continue
            }
            ShapeChecker.check(node, .object(DefinitionsShape.root), "", into: &diagnostics)
            entities += node["entities"]?.entries ?? []
            views += node["views"]?.entries ?? []
            services += node["services"]?.entries ?? []
        }
    }

    mutating func compile() -> Catalog {
        checkCounts()
        refuseDuplicates(entities, "entities")
        refuseDuplicates(views, "views")
        refuseDuplicates(services, "services")
        let known = Dictionary(entities.compactMap(Self.entity).map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        var built: [FeatureView] = []
        for entry in views where !entry.value.entries.isEmpty {
            guard let view = ViewBuilder(entry: entry, entities: known).build(into: &diagnostics) else { continue }
            built.append(view)
        }
        checkSources()
        checkKeys()
        let services = makeServices()
        return Catalog(project: project, views: built, services: services)
    }

    private static func entity(_ entry: YAMLNode.Entry) -> Entity? {
        let keys = (entry.value["keys"]?.entries ?? []).map { key in
            // A wrong type was reported; any type stands in, so that the views are checked all the same.
            Entity.Key(name: key.key, type: key.value.text.flatMap(EntityKeyType.init(rawValue:)) ?? .int64)
        }
        return keys.isEmpty ? nil : Entity(name: entry.key, keys: keys)
    }

    private mutating func checkCounts() {
        guard let place = firstPlace else {
            let place = Place(file: "schemas/\(project)", line: 1, column: 1)
            diagnostics.report(
                place, "", found: "no definition files", expected: "at least one *.yaml", help: "write " + Self.starter)
            return
        }
        if views.isEmpty, !hasBrokenFile, diagnostics.isEmpty {
            diagnostics.report(
                place, "views", found: "no view in any file", expected: "at least one", help: "write " + Self.starter)
        }
        if views.count > DefinitionsShape.maximumViews {
            diagnostics.report(
                place, "views", found: "\(views.count) views in all files",
                expected: "at most \(DefinitionsShape.maximumViews) in a project")
        }
    }

    private mutating func refuseDuplicates(_ entries: [YAMLNode.Entry], _ kind: String) {
        var places: [String: Place] = [:]
        for entry in entries {
            guard let first = places[entry.key] else {
                places[entry.key] = entry.place
                continue
            }
            diagnostics.report(
                entry.place, kind.appending(key: entry.key), found: "the name \(Text.quoted(entry.key)) again",
                expected: "each name once in a project", help: "it stands at \(first.file):\(first.line) too")
        }
    }

    private mutating func checkSources() {
        guard let sources else { return }
        for entry in views {
            guard let node = entry.value["source"]?["from"], let name = node.text, !sources.contains(name) else {
                continue
            }
            diagnostics.reportUnknown(
                node.place, "views".appending(key: entry.key) + ".source.from", name, kind: "a source of the config",
                among: sources)
        }
    }

    /// Two views with one key would write into each other's rows.
    private mutating func checkKeys() {
        var owners: [String: YAMLNode.Entry] = [:]
        for entry in views {
            let key = entry.value["key"]?.text ?? entry.key
            guard let owner = owners[key], owner.key != entry.key else {
                owners[key] = entry
                continue
            }
            let place = entry.value["key"]?.place ?? entry.place
            diagnostics.report(
                place, "views".appending(key: entry.key) + ".key", found: Text.quoted(key),
                expected: "a key that no other view has",
                help: "the view \(owner.key) at \(owner.place.file):\(owner.place.line) has it too")
        }
    }

    // MARK: Services

    private mutating func makeServices() -> [FeatureService] {
        var names: [String: [String]] = [:]
        for entry in views { names[entry.key] = entry.value["features"]?.entries.map(\.key) ?? [] }
        let sets = names.mapValues(Set.init)
        return services.compactMap { service($0, names, sets) }
    }

    private mutating func service(
        _ entry: YAMLNode.Entry, _ names: [String: [String]], _ sets: [String: Set<String>]
    ) -> FeatureService? {
        let path = "services".appending(key: entry.key)
        var features: [FeatureReference] = []
        var seen: Set<FeatureReference> = []
        for (index, node) in entry.value.elements.enumerated() {
            for feature in references(node, "\(path)[\(index)]", names, sets) {
                guard seen.insert(feature).inserted else {
                    diagnostics.report(
                        node.place, "\(path)[\(index)]", found: "\"\(feature.view):\(feature.feature)\" again",
                        expected: "each feature once in a service")
                    continue
                }
                features.append(feature)
            }
            if features.count > DefinitionsShape.maximumFeatures {
                diagnostics.report(
                    entry.place, path, found: "more than \(DefinitionsShape.maximumFeatures) features",
                    expected: "at most \(DefinitionsShape.maximumFeatures) in a service")
                return nil
            }
        }
        return features.isEmpty ? nil : FeatureService(name: entry.key, features: features)
    }

    private mutating func references(
        _ node: YAMLNode, _ path: String, _ names: [String: [String]], _ sets: [String: Set<String>]
    ) -> [FeatureReference] {
        let parts = (node.text ?? "").split(separator: ":", maxSplits: 1).map(String.init)
        guard let view = parts.first else { return [] }
        guard let features = names[view] else {
            diagnostics.reportUnknown(node.place, path, view, kind: "a view", among: views.map(\.key))
            return []
        }
        guard parts.count == 2 else { return features.map { FeatureReference(view: view, feature: $0) } }
        guard sets[view]?.contains(parts[1]) == true else {
            diagnostics.reportUnknown(node.place, path, parts[1], kind: "a feature of \(view)", among: features)
            return []
        }
        return [FeatureReference(view: view, feature: parts[1])]
    }
}
