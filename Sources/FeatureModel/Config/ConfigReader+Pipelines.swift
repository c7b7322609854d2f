// The part of the config that recommends.

extension ConfigReader {
    static func pipelines(_ node: YAMLNode?) -> [PipelineConfig] {
        (node?.entries ?? []).compactMap { pipeline($0) }
    }

    private static func pipeline(_ entry: YAMLNode.Entry) -> PipelineConfig? {
        let node = entry.value
        guard let user = node["user"]?.text, let item = node["item"]?.text, let fallback = node["fallback"]?.text else {
            return nil
        }
        let maximumK = count(node["max_k"], max(100, count(node["k"], 20)))
        let timeout = node["timeout"]?.duration ?? .milliseconds(80)
        return PipelineConfig(
            name: entry.key, user: user, item: item, k: count(node["k"], min(20, maximumK)), maximumK: maximumK,
            timeout: timeout, slowCall: node["slow_call"]?.duration ?? timeout, hedge: node["hedge"]?.number ?? 0,
            sources: (node["recall"]?.entries ?? []).compactMap { source($0) },
            candidates: count(node["candidates"], 200),
            filters: (node["filters"]?.entries ?? []).compactMap { filter($0) },
            features: node["features"]?.text, model: node["ranker"]?["model"]?.text,
            recallShare: node["blend"]?["recall"]?.number ?? 0, ladder: ladder(node), fallback: fallback,
            lastGood: LastGoodConfig(
                users: count(node["last_good"]?["users"], 10_000),
                maximumAge: node["last_good"]?["max_age"]?.duration ?? .seconds(3_600)),
            policy: policy(node["policy"]), place: entry.place, places: places(node, ""))
    }

    private static func policy(_ node: YAMLNode?) -> PolicyConfig {
        let refresh = node?["refresh"]?.duration ?? .seconds(10)
        return PolicyConfig(
            refresh: refresh, maximumAge: node?["max_age"]?.duration ?? max(.seconds(3_600), refresh),
            items: count(node?["items"], 100_000))
    }

    private static func ladder(_ node: YAMLNode) -> [PipelineConfig.Rung] {
        guard let list = node["ladder"] else {
            return PipelineConfig.Rung.allCases.filter { $0 != .ranking || node["ranker"] != nil }
        }
        let rungs = list.texts.compactMap(PipelineConfig.Rung.init(rawValue:))
        return rungs.last == .popularity ? rungs : rungs + [.popularity]
    }

    private static func source(_ entry: YAMLNode.Entry) -> RecallSourceConfig? {
        let node = entry.value
        guard let list = node["list"]?.text else { return nil }
        return RecallSourceConfig(
            name: entry.key, list: list, seeds: reference(node["seeds"]), segment: reference(node["segment"]),
            quota: count(node["quota"], 100), timeout: node["timeout"]?.duration ?? .milliseconds(20),
            weight: node["weight"]?.number ?? 1)
    }

    private static func reference(_ node: YAMLNode?) -> FeatureReference? {
        node?.text.flatMap(FeatureReference.init(spelling:))
    }

    private static func filter(_ entry: YAMLNode.Entry) -> FilterConfig? {
        rule(entry.value).map {
            FilterConfig(name: entry.key, rule: $0, isPolicy: entry.value["policy"]?.flag ?? false)
        }
    }

    private static func rule(_ node: YAMLNode) -> FilterConfig.Rule? {
        if let list = reference(node["not_in"]) { return .notIn(list) }
        if let file = node["file"]?.text { return .file(file) }
        guard let feature = reference(node["feature"]) else { return nil }
        if let most = node["at_most"] { return .atMost(feature, count(most, 1)) }
        if let value = node["is"] { return .feature(feature, .equals(value.plainValue)) }
        if let values = node["one_of"] { return .feature(feature, .oneOf(values.elements.map(\.plainValue))) }
        if let values = node["none_of"] { return .feature(feature, .noneOf(values.elements.map(\.plainValue))) }
        return .feature(feature, .between(node["min"]?.number, node["max"]?.number))
    }

    private static func places(_ node: YAMLNode, _ path: String) -> [String: Place] {
        var places: [String: Place] = [:]
        for entry in node.entries {
            let path = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            places[path] = entry.value.place
            places.merge(self.places(entry.value, path)) { first, _ in first }
        }
        return places
    }

    // MARK: Checks

    /// Checks pipelines against themselves and the rest of the file.
    mutating func checkPipelines(_ root: YAMLNode) {
        let serve = Self.serve(root["serve"])
        for entry in root["pipelines"]?.entries ?? [] {
            let path = "pipelines".appending(key: entry.key)
            checkNumbers(entry, path, serve)
            checkLadder(entry.value, path)
            for filter in entry.value["filters"]?.entries ?? [] {
                checkFilter(filter.value, "\(path).filters.\(filter.key)")
            }
            checkNames(entry.value, path, root)
        }
    }

    private mutating func checkNumbers(_ entry: YAMLNode.Entry, _ path: String, _ serve: ServeConfig) {
        guard let pipeline = Self.pipeline(entry) else { return }
        let node = entry.value
        require(
            pipeline.k <= pipeline.maximumK, node["k"], "\(path).k", found: "\(pipeline.k)",
            "at most max_k = \(pipeline.maximumK)", nil)
        require(
            pipeline.timeout <= serve.maximumTimeout, node["timeout"], "\(path).timeout", pipeline.timeout,
            "at most serve.max_timeout = \(serve.maximumTimeout.mixedSpelling)",
            "no request may have more time than that")
        require(
            pipeline.policy.maximumAge >= pipeline.policy.refresh,
            node["policy"]?["max_age"] ?? node["policy"]?["refresh"],
            "\(path).policy.max_age", pipeline.policy.maximumAge,
            "at least refresh = \(pipeline.policy.refresh.mixedSpelling)",
            "it would be too old before it is looked at again")
    }

    private mutating func checkLadder(_ node: YAMLNode, _ path: String) {
        guard let list = node["ladder"] else { return }
        let order = PipelineConfig.Rung.allCases
        let rungs = list.texts.compactMap(PipelineConfig.Rung.init(rawValue:))
        let places = rungs.compactMap(order.firstIndex(of:))
        if zip(places, places.dropFirst()).contains(where: { $0 >= $1 }) {
            diagnostics.report(
                list.place, "\(path).ladder", found: rungs.map(\.rawValue).joined(separator: ", "),
                expected: "each once, in the order \(order.map(\.rawValue).joined(separator: ", "))",
                help: "each rung needs less than the one before")
        }
        if rungs.contains(.ranking), node["ranker"] == nil {
            diagnostics.report(
                list.place, "\(path).ladder", found: "ranking and no ranker", expected: "a ranker beside it",
                help: "name a model under ranker, or leave ranking out")
        }
    }

    private mutating func checkFilter(_ node: YAMLNode, _ path: String) {
        guard node["feature"] != nil else { return }
        let tests = ["is", "one_of", "none_of", "at_most"].filter { node[$0] != nil }
        let hasBounds = node["min"] != nil || node["max"] != nil
        guard tests.count + (hasBounds ? 1 : 0) == 1 else {
            return diagnostics.report(
                node.place, path, found: tests.isEmpty ? "a feature and no test" : "several tests of one feature",
                expected: "one of is, one_of, none_of, min and max, or at_most")
        }
        if node["at_most"] != nil, node["policy"]?.flag == true {
            diagnostics.report(
                node.place, path, found: "at_most as policy", expected: "at_most without policy",
                help: "it speaks of the answer and not of one item")
        }
    }

    /// Lists and models are in the same file.
    private mutating func checkNames(_ node: YAMLNode, _ path: String, _ root: YAMLNode) {
        let lists = root["recall"]?["lists"]?.entries.map(\.key) ?? []
        var named = (node["recall"]?.entries ?? []).map { ("recall.\($0.key).list", $0.value["list"]) }
        named.append(("fallback", node["fallback"]))
        for (key, value) in named {
            guard let value, let name = value.text, !lists.contains(name) else { continue }
            diagnostics.reportUnknown(
                value.place, "\(path).\(key)", name, kind: "a list of recall.lists", among: lists)
        }
        let models = root["models"]?.entries.map(\.key) ?? []
        if let value = node["ranker"]?["model"], let name = value.text, !models.contains(name) {
            diagnostics.reportUnknown(
                value.place, "\(path).ranker.model", name, kind: "a model of models", among: models)
        }
    }
}

extension YAMLNode {
    /// What a scalar says by itself.
    fileprivate var plainValue: DocumentValue {
        if let flag { return .flag(flag) }
        if let integer { return .integer(integer) }
        if let number { return .number(number) }
        return text.map(DocumentValue.text) ?? .null
    }
}
