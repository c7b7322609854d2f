// The part of the config that recall lists are built by.

extension ConfigReader {
    mutating func recall(_ node: YAMLNode?, sources: [SourceConfig]) -> RecallConfig? {
        guard let node else { return nil }
        var lists: [RecallListConfig] = []
        for entry in node["lists"]?.entries ?? [] {
            let path = "recall.lists".appending(key: entry.key)
            if let from = entry.value["from"], let name = from.text, !sources.contains(where: { $0.name == name }) {
                diagnostics.reportUnknown(
                    from.place, "\(path).from", name, kind: "a source of this config", among: sources.map(\.name))
            }
            if let list = recallList(entry, path) { lists.append(list) }
        }
        return RecallConfig(
            directory: node["dir"]?.text ?? "recall", keep: Self.count(node["keep"], 3),
            refresh: node["refresh"]?.duration ?? .seconds(2),
            maximumBytes: Int(node["max_bytes"]?.byteCount ?? 1 << 30), lists: lists)
    }

    private mutating func recallList(_ entry: YAMLNode.Entry, _ path: String) -> RecallListConfig? {
        let node = entry.value
        guard let kind = node["kind"]?.text.flatMap(RecallKind.init(rawValue:)) else { return nil }
        checkKeys(entry, kind, path)
        checkQuery(node["query"], "\(path).query")
        guard let from = node["from"]?.text, let query = node["query"]?.text, let item = node["item"]?.text else {
            return nil
        }
        var list = RecallListConfig(
            name: entry.key, kind: kind, from: from, query: query, item: item,
            size: node["size"]?.integer.map(Int.init))
        list.user = node["user"]?.text
        list.time = node["time"].flatMap { time in
            (time.text ?? time["column"]?.text).map {
                TimeColumn(column: $0, unit: time["unit"]?.text.flatMap(TimeColumn.Unit.init(rawValue:)))
            }
        }
        list.weight = node["weight"]?.text
        list.segment = node["segment"]?.text
        list.window = node["window"]?.duration ?? (kind == .trending ? .days(7) : nil)
        list.short = node["short"]?.duration ?? list.short
        list.halfLife = node["half_life"]?.duration
        list.session = node["session"]?.duration ?? list.session
        list.shrink = node["shrink"]?.number ?? list.shrink
        list.timeout = node["timeout"]?.duration
        list.limits = Self.recallLimits(node["limits"])
        list.vectors = Self.vectors(node["vectors"])
        checkTimes(list, node, path)
        return list
    }

    private static func recallLimits(_ node: YAMLNode?) -> RecallLimits {
        var limits = RecallLimits()
        limits.events = count(node?["events"], limits.events)
        limits.history = count(node?["history"], limits.history)
        limits.items = count(node?["items"], limits.items)
        limits.segments = count(node?["segments"], limits.segments)
        return limits
    }

    private static func vectors(_ node: YAMLNode?) -> VectorConfig {
        var vectors = VectorConfig()
        vectors.column = node?["column"]?.text
        vectors.dimension = count(node?["dimension"], vectors.dimension)
        vectors.iterations = count(node?["iterations"], vectors.iterations)
        vectors.regularization = node?["regularization"]?.number ?? vectors.regularization
        vectors.confidence = node?["confidence"]?.number ?? vectors.confidence
        vectors.maximumItems = Self.count(node?["max_items"], vectors.maximumItems)
        return vectors
    }

    // MARK: What each kind can and must have

    private mutating func checkKeys(_ entry: YAMLNode.Entry, _ kind: RecallKind, _ path: String) {
        let node = entry.value
        for (key, kinds) in Self.keysOfKinds where !kinds.contains(kind) {
            guard let place = node[key]?.place else { continue }
            diagnostics.report(
                place, "\(path).\(key)", found: "it beside kind: \(kind.rawValue)",
                expected: "it only for \(Text.list(kinds.map(\.rawValue)))")
        }
        let hasColumn = node["vectors"]?["column"] != nil
        if node["time"] == nil, !(kind == .vectors && hasColumn) {
            diagnostics.report(
                entry.place, "\(path).time", found: "nothing", expected: "the column of when an event happened",
                help: "as in time: {column: ts, unit: ms}")
        }
        if node["user"] == nil, kind == .coOccurrence || (kind == .vectors && !hasColumn) {
            diagnostics.report(
                entry.place, "\(path).user", found: "nothing", expected: "the entity of the query's user",
                help: "\(kind.rawValue) is found from what each user met")
        }
    }

    private static let keysOfKinds: [(key: String, kinds: [RecallKind])] = [
        ("user", [.coOccurrence, .vectors]), ("weight", [.popularity, .trending]),
        ("segment", [.popularity, .trending, .newest]), ("short", [.trending]),
        ("half_life", [.popularity, .newest, .coOccurrence, .vectors]), ("session", [.coOccurrence]),
        ("shrink", [.coOccurrence]), ("vectors", [.vectors]),
    ]

    private mutating func checkQuery(_ node: YAMLNode?, _ path: String) {
        guard let node, let text = node.text else { return }
        let sql = SQLText(text)
        switch sql.problem {
        case .severalStatements:
            diagnostics.report(node.place, path, found: "several statements", expected: "one SELECT or WITH statement")
        case .unterminated(let what):
            diagnostics.report(node.place, path, found: "\(what) that doesn't end", expected: "a whole statement")
        case .notAQuery(let word):
            diagnostics.report(
                node.place, path, found: word.isEmpty ? "no statement" : Text.quoted(word),
                expected: "a statement that begins with SELECT or WITH")
        case nil:
            guard let name = sql.parameters.sorted().first else { return }
            diagnostics.report(node.place, path, found: ":\(name)", expected: "no parameter here")
        }
    }

    private mutating func checkTimes(_ list: RecallListConfig, _ node: YAMLNode, _ path: String) {
        guard list.kind == .trending, let window = list.window else { return }
        require(
            list.short < window, node["short"] ?? node["window"], "\(path).short", list.short,
            "less than window = \(window.mixedSpelling)",
            "what is lately is held against the rest of the window")
    }
}

extension Catalog {
    /// The entity of that name, if a view has it.
    package func entity(_ name: String) -> Entity? {
        views.first { $0.entity.name == name }?.entity
    }
}

extension RecallConfig {
    /// Checks that each list's entities are there, with one key column each.
    func validate(_ catalog: Catalog, _ place: Place, into diagnostics: inout Diagnostics) {
        for list in lists {
            for (key, name) in [("item", list.item), ("user", list.user)] {
                guard let name else { continue }
                let path = "recall.lists.\(list.name).\(key)"
                guard let entity = catalog.entity(name) else {
                    diagnostics.reportUnknown(
                        place, path, name, kind: "an entity of the definitions",
                        among: Set(catalog.views.map(\.entity.name)).sorted())
                    continue
                }
                guard entity.keys.count > 1 else { continue }
                diagnostics.report(
                    place, path, found: "an entity of \(entity.keys.count) key columns",
                    expected: "one of a single key column")
            }
        }
    }
}
