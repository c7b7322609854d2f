package import FeatureModel

extension ModelColumns {
    /// The columns that a config names; `type` and `oneOf` tell what the catalog says of a feature.
    ///
    /// - Throws: `mismatch` for a feature that is not there or has no such encoding.
    package static func columns(
        _ config: [ModelColumnConfig], in catalog: Catalog?
    ) throws(RankerError) -> [RankerColumn] {
        var columns: [RankerColumn] = []
        for column in config {
            switch column.input {
            case .recall(let source): columns.append(RankerColumn(.recall(source)))
            case .match(let user, let item): columns.append(RankerColumn(.match(user: user, item: item)))
            case .feature(let reference):
                let feature = catalog?.view(reference.view)?.features.first { $0.name == reference.feature }
                let encoding = try encoding(column, reference, feature)
                columns.append(RankerColumn(.feature(reference), encoding))
            }
        }
        return columns
    }

    private static func encoding(
        _ column: ModelColumnConfig, _ reference: FeatureReference, _ feature: Feature?
    ) throws(RankerError) -> FeatureEncoding {
        let texts = column.categories.isEmpty ? feature.map(oneOf) ?? [] : column.categories
        let chosen: FeatureEncoding? =
            switch column.encoding {
            case .number: .number
            case .boolean: .boolean
            case .category: texts.isEmpty ? nil : .category(texts)
            case .ageSeconds: .age(.seconds)
            case .ageMilliseconds: .age(.milliseconds)
            case .ageMicroseconds: .age(.microseconds)
            case nil:
                if let feature { standard(feature) } else { .number }
            }
        guard let chosen else {
            throw RankerError(
                .mismatch, "a feature needs an encoding, a category its texts",
                detail: "\(reference.view):\(reference.feature)")
        }
        return chosen
    }

    /// The encoding of a feature when nobody says another: as its type has, or as the texts of its contract.
    package static func standard(_ feature: Feature) -> FeatureEncoding? {
        if let encoding = FeatureEncoding.standard(for: feature.type) { return encoding }
        let texts = oneOf(feature)
        return feature.type == .scalar(.string) && !texts.isEmpty ? .category(texts) : nil
    }

    private static func oneOf(_ feature: Feature) -> [String] {
        feature.contract.oneOf.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }
}
