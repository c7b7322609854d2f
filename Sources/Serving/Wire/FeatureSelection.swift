package import FeatureModel
package import NIOCore

/// What a lookup asks for, read from the bytes that `LookupRequestBody.selection` points at: once for each plan.
package enum FeatureSelection {
    /// Reads a list of features, each `view:feature`.
    package static func features(
        _ body: ByteBuffer, _ request: LookupRequestBody, limits: WireLimits
    ) throws(WireError) -> [FeatureReference] {
        let bytes = body.readableBytesSpan
        var cursor = JSONCursor(at: request.selection.lowerBound, maximumDepth: limits.nesting)
        guard cursor.kind(bytes) == .array else {
            throw WireError(.shape(.list), "features is not a list", path: [.field("features")])
        }
        var features: [FeatureReference] = []
        var goesOn = try cursor.enter(bytes)
        while goesOn {
            guard features.count < limits.features else {
                throw WireError(
                    .limitExceeded, "there are over \(limits.features) features", path: [.field("features")])
            }
            features.append(try feature(&cursor, bytes, features.count, limits))
            goesOn = try cursor.hasMore(bytes, in: .array)
        }
        guard !features.isEmpty else {
            throw WireError(.noFeatures, "No features specified for retrieval", path: [.field("features")])
        }
        return features
    }

    /// Reads the name of a service.
    package static func service(
        _ body: ByteBuffer, _ request: LookupRequestBody, limits: WireLimits
    ) throws(WireError) -> String {
        let bytes = body.readableBytesSpan
        var cursor = JSONCursor(at: request.selection.lowerBound, maximumDepth: limits.nesting)
        guard cursor.kind(bytes) == .string else {
            throw WireError(.shape(.string), "the service is not a string", path: [.field("service")])
        }
        return try text(try cursor.string(bytes), bytes, limits, path: [.field("service")])
    }

    /// Features that would have one name in Feast's answer; empty where each has its own.
    package static func collisions(
        in features: [FeatureReference], fullFeatureNames: Bool
    ) -> [FeatureReference] {
        var counts: [String: Int] = [:]
        let name = { (feature: FeatureReference) in
            fullFeatureNames ? "\(feature.view)__\(feature.feature)" : feature.feature
        }
        for feature in features { counts[name(feature), default: 0] += 1 }
        return features.filter { counts[name($0), default: 0] > 1 }
    }

    private static func feature(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, _ index: Int, _ limits: WireLimits
    ) throws(WireError) -> FeatureReference {
        let path = [WireError.Step.field("features"), .element(index)]
        guard cursor.kind(bytes) == .string else {
            let range = try cursor.valueRange(bytes)
            throw WireError(
                .shape(.string), "a feature is not a string", path: path, offset: range.lowerBound, input: range)
        }
        let token = try cursor.string(bytes)
        let name = try text(token, bytes, limits, path: path)
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw WireError(
                .invalidFeature, "\"\(name)\" is no feature; write view:feature", path: path,
                offset: token.range.lowerBound)
        }
        if let at = parts[0].firstIndex(of: "@") {
            throw WireError(
                .versionedFeature,
                "\"\(name)\" asks for a version; the active version of a view is what is served: write "
                    + "\(parts[0][..<at]):\(parts[1])", path: path, offset: token.range.lowerBound)
        }
        return FeatureReference(view: String(parts[0]), feature: String(parts[1]))
    }

    private static func text(
        _ token: JSONText, _ bytes: RawSpan, _ limits: WireLimits, path: [WireError.Step]
    ) throws(WireError) -> String {
        // An escape has at least as many bytes as what it means.
        guard token.range.count <= limits.stringBytes else {
            throw WireError(
                .limitExceeded, "a name is over \(limits.stringBytes) bytes", path: path,
                offset: token.range.lowerBound)
        }
        return token.string(bytes)
    }
}
