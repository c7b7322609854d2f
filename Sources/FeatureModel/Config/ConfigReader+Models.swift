// The part of the config that says which models there are, and what they learn from.

extension ConfigReader {
    mutating func models(_ node: YAMLNode?, sources: [String]) -> [ModelConfig] {
        (node?.entries ?? []).map { model($0, sources) }
    }

    private mutating func model(_ entry: YAMLNode.Entry, _ sources: [String]) -> ModelConfig {
        let node = entry.value
        let path = "models".appending(key: entry.key)
        if let remote = node["remote"], node["columns"] == nil {
            diagnostics.report(
                remote.place, "\(path).columns", found: "nothing", expected: "the columns that the remote model reads",
                help: "only a folder's model brings them along")
        }
        if let training = node["training"], node["remote"] != nil {
            diagnostics.report(
                training.place, "\(path).training", found: "it beside remote", expected: "it beside path")
        }
        return ModelConfig(
            name: entry.key, path: node["path"]?.text, maximumBytes: Int(node["max_bytes"]?.byteCount ?? 256 << 20),
            keep: Self.count(node["keep"], 5), columns: (node["columns"]?.elements ?? []).compactMap(Self.modelColumn),
            training: node["training"].flatMap { training($0, "\(path).training", sources) },
            remote: node["remote"].flatMap(Self.remoteModel))
    }

    private static func modelColumn(_ node: YAMLNode) -> ModelColumnConfig? {
        if let text = node.text {
            return modelFeature(text).map { ModelColumnConfig(input: .feature($0), encoding: nil, categories: []) }
        }
        let input: ModelColumnConfig.Input? =
            if let feature = node["feature"]?.text {
                modelFeature(feature).map { .feature($0) }
            } else if let pair = node["match"]?.texts.compactMap(modelFeature), pair.count == 2 {
                .match(user: pair[0], item: pair[1])
            } else {
                node["recall"]?.text.map { .recall($0) }
            }
        return input.map {
            ModelColumnConfig(
                input: $0, encoding: node["encoding"]?.text.flatMap(ModelColumnConfig.Encoding.init(rawValue:)),
                categories: (node["categories"]?.elements ?? []).compactMap(\.text))
        }
    }

    private static func remoteModel(_ node: YAMLNode) -> RemoteModelConfig? {
        guard let url = node["url"]?.text, let model = node["model"]?.text else { return nil }
        return RemoteModelConfig(
            url: url.hasSuffix("/") ? String(url.dropLast()) : url, model: model, version: node["version"]?.text,
            timeout: node["timeout"]?.duration ?? .milliseconds(20), maximumInFlight: count(node["max_in_flight"], 64))
    }

    private mutating func training(_ node: YAMLNode, _ path: String, _ sources: [String]) -> TrainingConfig? {
        checkSource(node["from"], "\(path).from", sources)
        checkModelQuery(node["query"], "\(path).query")
        let warmup = node["warmup"]?.number ?? 0.6
        let holdout = node["holdout"]?.number ?? 0.15
        require(
            warmup + holdout < 0.96, node["holdout"] ?? node["warmup"], "\(path).holdout", found: "\(holdout)",
            "less than 0.96 - warmup = \(0.96 - warmup)", "the moments to learn from lie between the two")
        guard let pipeline = node["pipeline"]?.text, let from = node["from"]?.text, let query = node["query"]?.text,
            let time = node["time"].flatMap(Self.modelTime)
        else { return nil }
        var history: [HistoryConfig] = []
        for entry in node["history"]?.entries ?? [] {
            let place = "\(path).history".appending(key: entry.key)
            checkSource(entry.value["from"], "\(place).from", sources)
            checkModelQuery(entry.value["query"], "\(place).query")
            guard let query = entry.value["query"]?.text, let time = entry.value["time"].flatMap(Self.modelTime) else {
                continue
            }
            history.append(
                HistoryConfig(
                    view: entry.key, from: entry.value["from"]?.text ?? from, query: query, time: time,
                    delay: entry.value["delay"]?.duration ?? .zero, isPartial: entry.value["partial"]?.flag ?? false))
        }
        return TrainingConfig(
            pipeline: pipeline, from: from, query: query, time: time, grade: node["grade"]?.text,
            horizon: node["horizon"]?.duration ?? .seconds(3_600), recent: Self.count(node["recent"], 20),
            delay: node["delay"]?.duration ?? .zero,
            maximumEvents: Self.count(node["max_events"], 10_000_000), groups: Self.count(node["groups"], 10_000),
            testGroups: Self.count(node["test_groups"], 3_000), negatives: Self.count(node["negatives"], 60),
            warmup: warmup, holdout: holdout, history: history)
    }

    private static func modelTime(_ node: YAMLNode) -> TimeColumn? {
        node["column"]?.text.map {
            TimeColumn(column: $0, unit: node["unit"]?.text.flatMap(TimeColumn.Unit.init(rawValue:)))
        }
    }

    static func modelFeature(_ text: String) -> FeatureReference? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts.allSatisfy(TextRule.name.accepts) else { return nil }
        return FeatureReference(view: parts[0], feature: parts[1])
    }

    private mutating func checkSource(_ node: YAMLNode?, _ path: String, _ sources: [String]) {
        guard let node, let name = node.text, !sources.contains(name) else { return }
        diagnostics.reportUnknown(node.place, path, name, kind: "a source of this config", among: sources)
    }

    private mutating func checkModelQuery(_ node: YAMLNode?, _ path: String) {
        guard let node, let text = node.text else { return }
        let sql = SQLText(text)
        let found: String? =
            switch sql.problem {
            case .severalStatements: "several statements"
            case .unterminated(let what): "\(what) that doesn't end"
            case .notAQuery(let word): word.isEmpty ? "no statement" : Text.quoted(word)
            case nil: sql.parameters.sorted().first.map { ":\($0)" }
            }
        guard let found else { return }
        diagnostics.report(node.place, path, found: found, expected: "one SELECT or WITH statement without parameters")
    }
}
