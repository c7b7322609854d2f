/// Turns the declaration of one view into a `FeatureView`, and checks what the declaration's shape can't say.
struct ViewBuilder {
    let entry: YAMLNode.Entry
    /// Entities by name.
    let entities: [String: Entity]

    private var node: YAMLNode { entry.value }
    private var path: String { "views".appending(key: entry.key) }

    /// - Returns: `nil` where something the view can't be without is missing or wrong, which has been reported.
    func build(into diagnostics: inout Diagnostics) -> FeatureView? {
        let entity = findEntity(into: &diagnostics)
        let features = features(entity, into: &diagnostics)
        let source = entity.flatMap { entity in
            node["source"].flatMap { node in
                SourceBuilder(path: "\(path).source", entity: entity, node: node).build(into: &diagnostics)
            }
        }
        let sweep = checkTimes(into: &diagnostics)
        checkFreshness(into: &diagnostics)
        let key = key(into: &diagnostics)
        guard let entity, let source, let features, let every = node["every"]?.duration,
            let ttl = node["ttl"]?.duration,
            let sweep
        else { return nil }
        return FeatureView(
            name: entry.key, key: key, entity: entity, source: source, every: every, ttl: ttl,
            maxAge: node["max_age"]?.duration, sweep: sweep, features: features, contract: contract,
            activation: node["activate"]?.text.flatMap(FeatureView.Activation.init(rawValue:)) ?? .automatic,
            keepPrevious: node["keep_previous"]?.duration ?? .days(1))
    }

    private var contract: ViewContract {
        var contract = ViewContract()
        guard let node = node["contract"] else { return contract }
        if let rate = node["max_quarantine_rate"]?.number { contract.maximumQuarantineRate = rate }
        contract.maximumRowCountChange = node["max_row_count_change"]?.number
        if let action = node["on_breach"]?.text.flatMap(ViewContract.BreachAction.init(rawValue:)) {
            contract.onBreach = action
        }
        return contract
    }

    private func findEntity(into diagnostics: inout Diagnostics) -> Entity? {
        guard let node = node["entity"], let name = node.text else { return nil }
        if let entity = entities[name] { return entity }
        diagnostics.reportUnknown(
            node.place, "\(path).entity", name, kind: "an entity", among: entities.keys.sorted(),
            help: entities.isEmpty ? "define it: entities: {\(name): {keys: {\(name)_id: int64}}}" : nil)
        return nil
    }

    private func key(into diagnostics: inout Diagnostics) -> String {
        if let key = node["key"]?.text { return key }
        if !TextRule.key.accepts(entry.key), TextRule.name.accepts(entry.key) {
            diagnostics.report(
                entry.place, path, found: "no key, and a name that can't be one",
                expected: "a key of \(TextRule.key.expected)",
                help: "write key: \(entry.key.lowercased().prefix(32))")
        }
        return entry.key
    }

    private func features(_ entity: Entity?, into diagnostics: inout Diagnostics) -> [Feature]? {
        guard let entries = node["features"]?.entries, !entries.isEmpty else { return nil }
        let keys = Set(entity?.keys.map(\.name) ?? [])
        var features: [Feature] = []
        for entry in entries {
            let path = "\(path).features".appending(key: entry.key)
            if keys.contains(entry.key) {
                diagnostics.report(
                    entry.place, path, found: "a feature with the name of a key",
                    expected: "a name that is no key of the entity \(entity?.name ?? "")")
            }
            if let feature = FeatureBuilder(path: path).build(entry, into: &diagnostics) { features.append(feature) }
        }
        return features.count == entries.count ? features : nil
    }

    // MARK: Times

    /// Checks `every` and `sweep` against `ttl`.
    ///
    /// - Returns: The sweep's interval; `nil` where there is no ttl to derive it from.
    private func checkTimes(into diagnostics: inout Diagnostics) -> Duration? {
        guard let ttl = node["ttl"]?.duration else { return nil }
        if let every = node["every"], let interval = every.duration, interval > ttl / 4 {
            diagnostics.report(
                every.place, "\(path).every", found: every.found, expected: atMost("ttl", ttl, over: 4),
                help: "rows would expire between two runs")
        }
        guard let sweep = node["sweep"] else { return min(ttl / 4, .days(1)) }
        guard let interval = sweep.duration else { return nil }
        if interval > ttl / 2 {
            diagnostics.report(
                sweep.place, "\(path).sweep", found: sweep.found, expected: atMost("ttl", ttl, over: 2),
                help: "the sweep renews expiries, so it must complete within half the ttl")
        }
        return interval
    }

    private func checkFreshness(into diagnostics: inout Diagnostics) {
        guard let limit = node["max_age"], let maximumAge = limit.duration else { return }
        if node["source"] != nil, node["source"]?["event_time"] == nil {
            diagnostics.report(
                limit.place, "\(path).max_age", found: "it without source.event_time",
                expected: "source.event_time to tell the age of a row")
        }
        if let ttl = node["ttl"]?.duration, maximumAge > ttl {
            diagnostics.report(
                limit.place, "\(path).max_age", found: limit.found, expected: "at most ttl = \(ttl.mixedSpelling)",
                help: "a row that may be served must still be stored")
        }
        if let every = node["every"]?.duration, every >= maximumAge {
            diagnostics.report(
                limit.place, "\(path).max_age", found: limit.found,
                expected: "more than every = \(every.mixedSpelling)",
                help: "rows would be too old before the next run")
        }
    }

    private func atMost(_ name: String, _ whole: Duration, over divisor: Int) -> String {
        "at most \(name)/\(divisor) = \(whole.mixedSpelling)/\(divisor) = \((whole / divisor).mixedSpelling)"
    }
}
