import FeatureModel
package import NIOCore

/// Takes bodies of lookups apart. One pass, no allocation.
package enum LookupParser {
    /// A body of `/v1/lookup`. A field it doesn't know is an error: a misspelt one would be ignored otherwise.
    package static func lookup(_ body: ByteBuffer, limits: WireLimits) throws(WireError) -> LookupRequestBody {
        let bytes = body.readableBytesSpan
        let fields = try RequestFields(bytes, limits: limits) { name in
            if name.equals("features", bytes) { return 0 }
            if name.equals("entities", bytes) { return 1 }
            if name.equals("service", bytes) { return 2 }
            return name.equals("ages", bytes) ? 3 : nil
        } unknown: { (name) throws(WireError) in
            throw unknownField(name.string(bytes), among: ["features", "entities", "service", "ages"], name.range)
        }
        let features = try fields.optional(0, "features", .list, bytes)
        let service = try fields.optional(2, "service", .string, bytes)
        if let service, features != nil {
            throw WireError(
                .unknownField, "give features or a service, not both", path: [.field("service")],
                offset: service.lowerBound, input: service)
        }
        guard let selection = features ?? service else {
            throw WireError(
                .shape(.missing), "the field features is missing, and there is no service", path: [.field("features")],
                input: 0..<bytes.byteCount)
        }
        var request = LookupRequestBody(
            selection: selection, isService: service != nil,
            entities: try fields.required(1, "entities", .list, bytes))
        request.ages = try fields.boolean(3, "ages", bytes)
        return request
    }

    /// A body of Feast's `/get-online-features`. Fields it doesn't know are ignored, and a service wins over features.
    package static func feast(_ body: ByteBuffer, limits: WireLimits) throws(WireError) -> LookupRequestBody {
        let bytes = body.readableBytesSpan
        let fields = try RequestFields(bytes, limits: limits) { name in
            if name.equals("features", bytes) { return 0 }
            if name.equals("entities", bytes) { return 1 }
            if name.equals("feature_service", bytes) { return 2 }
            if name.equals("full_feature_names", bytes) { return 3 }
            return name.equals("include_feature_view_version_metadata", bytes) ? 4 : nil
        }
        let entities = try fields.required(1, "entities", .object, bytes)
        let service = try fields.nullable(2, "feature_service", .string, bytes)
        let features = try fields.optional(0, "features", .list, bytes)
        guard let selection = service ?? features else {
            throw WireError(.noFeatures, "No features specified for retrieval")
        }
        var request = LookupRequestBody(selection: selection, isService: service != nil, entities: entities)
        request.fullFeatureNames = try fields.boolean(3, "full_feature_names", bytes)
        request.versionMetadata = try fields.boolean(4, "include_feature_view_version_metadata", bytes)
        return request
    }

    static func unknownField(_ name: String, among known: [String], _ range: Range<Int>) -> WireError {
        WireError(
            .unknownField, "there is no field \(name)\(Nearest.hint(name, among: known))", path: [.field(name)],
            offset: range.lowerBound)
    }
}
