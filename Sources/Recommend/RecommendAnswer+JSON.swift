package import FeatureModel
package import OnlineStore

extension RecommendAnswer {
    /// Appends the body of `/v1/recommend`.
    package func write(requestID: String, into output: inout JSONBytes) {
        output.raw("{\"items\":[")
        output.list(items) { output, item in
            output.raw("{\"id\":")
            output.key(item.id)
            output.raw(",\"score\":")
            output.value(.float64(item.score))
            output.raw(",\"source\":")
            output.string(item.source)
            output.raw("}")
        }
        output.raw("],\"rung\":\"\(rung.rawValue)\",\"model\":")
        output.nullable(model)
        output.raw(",\"version\":")
        output.nullable(version)
        if !degraded.isEmpty {
            output.raw(",\"degraded\":{")
            output.list(degraded) { output, part in
                output.string(part.part)
                output.raw(":")
                output.string(part.reason)
            }
            output.raw("}")
        }
        output.raw(",\"request_id\":")
        output.string(requestID)
        if let explain { explain.write(into: &output) }
        output.raw("}")
    }
}

extension Explanation {
    fileprivate func write(into output: inout JSONBytes) {
        output.raw(",\"explain\":{\"stages\":[")
        output.list(stages) { output, stage in
            output.raw("{\"stage\":")
            output.string(stage.name)
            output.raw(",\"outcome\":")
            output.string(stage.outcome)
            output.raw(",\"ms\":")
            output.value(.float64(stage.taken.milliseconds))
            output.raw(",\"allotted_ms\":")
            output.value(stage.allotted.map { .float64($0.milliseconds) } ?? .null)
            output.raw("}")
        }
        output.raw("],\"user\":{")
        output.features(user)
        output.raw("},\"candidates\":[")
        output.list(candidates) { $1.write(into: &$0) }
        output.raw("]}")
    }
}

extension Explanation.Candidate {
    fileprivate func write(into output: inout JSONBytes) {
        output.raw("{\"id\":")
        output.key(id)
        output.raw(",\"sources\":[")
        output.list(sources) { output, source in
            output.raw("{\"source\":")
            output.string(source.name)
            output.raw(",\"score\":")
            output.value(.float32(source.score))
            output.raw(",\"place\":\(source.place)}")
        }
        output.raw("],\"recall\":")
        output.value(.float64(recall))
        output.raw(",\"rank\":")
        output.value(rank.map { .float32($0) } ?? .null)
        output.raw(",\"score\":")
        output.value(score.map { .float64($0) } ?? .null)
        if let position { output.raw(",\"position\":\(position)") }
        if let left {
            output.raw(",\"left\":")
            output.string(left)
        }
        output.raw(",\"features\":{")
        output.features(features)
        output.raw("}}")
    }
}

extension JSONBytes {
    /// An entity's key as a request spells it; bytes as Base64.
    package mutating func key(_ key: EntityKeyValue) {
        switch key {
        case .integer(let number): value(.int64(number))
        case .text(let text): string(text)
        case .bytes(let bytes): value(.bytes(bytes))
        }
    }

    /// The key columns of an entity as a request spells them, in the order of their names.
    package mutating func entity(_ columns: [String: EntityKeyValue]) {
        raw("{")
        list(columns.sorted { $0.key < $1.key }) { output, column in
            output.string(column.key)
            output.raw(":")
            output.key(column.value)
        }
        raw("}")
    }

    fileprivate mutating func nullable(_ text: String?) {
        if let text { string(text) } else { raw("null") }
    }

    fileprivate mutating func features(_ features: [(FeatureReference, FeatureValue)]) {
        list(features) { output, feature in
            output.string("\(feature.0.view):\(feature.0.feature)")
            output.raw(":")
            output.value(feature.1)
        }
    }
}

extension Duration {
    /// For people, with a fraction.
    package var milliseconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) * 1e3 + Double(attoseconds) / 1e15
    }
}
