package import FeatureModel

/// A row as it was packed.
package struct DecodedRow: Sendable, Equatable {
    /// Where it stands among all rows of its entity.
    package let order: RowOrder
    /// Whether the row says that the entity has none any more. There are no values then.
    package let isTombstone: Bool
    /// One a feature in the view's order, or one a feature picked.
    package let values: [FeatureValue]

    package init(order: RowOrder, isTombstone: Bool, values: [FeatureValue]) {
        self.order = order
        self.isTombstone = isTombstone
        self.values = values
    }
}

/// Unpacks rows of one view. A value, free to share.
///
/// Takes any bytes: it never traps, and never allocates more than a small multiple of `RowFormat.maximumPayloadBytes`.
package struct RowDecoder: Sendable {
    private let types: [FeatureType]
    private let schemaID: UInt16
    private let check: RowCheck

    /// Prepares for the rows of a view: its feature types and schema fingerprint.
    package init(view: FeatureView) {
        let fingerprint = view.schemaFingerprint
        types = view.features.map(\.type)
        schemaID = UInt16(truncatingIfNeeded: fingerprint)
        check = RowCheck(schemaFingerprint: fingerprint)
    }

    /// How many values a row has.
    package var width: Int { types.count }

    /// The order in a row's header. The check is not looked at.
    package static func order(of bytes: Span<UInt8>) throws(RowCodecError) -> RowOrder {
        try RowHeader(bytes).order
    }

    /// The order in a row's header. The check is not looked at.
    package static func order(of bytes: [UInt8]) throws(RowCodecError) -> RowOrder {
        try RowHeader(bytes.span).order
    }

    /// Unpacks a row that was stored for `key`.
    package func decode(_ bytes: Span<UInt8>, key: EntityKey) throws(RowCodecError) -> DecodedRow {
        var values: [FeatureValue] = []
        let header = try decode(bytes, key: key, into: &values)
        return DecodedRow(order: header.order, isTombstone: header.isTombstone, values: values)
    }

    /// Unpacks a row that was stored for `key`.
    package func decode(_ bytes: [UInt8], key: EntityKey) throws(RowCodecError) -> DecodedRow {
        try decode(bytes.span, key: key)
    }

    /// Unpacks a row that was stored for `key` and appends its `width` values; none for a tombstone.
    ///
    /// - Throws: Any code but `wrongValue`; `values` is then as before.
    package func decode(
        _ bytes: Span<UInt8>, key: EntityKey, into values: inout [FeatureValue]
    ) throws(RowCodecError) -> RowHeader {
        let header = try checkedHeader(bytes, key)
        guard !header.isTombstone else { return header }
        let before = values.count
        do {
            if let payload = try unpackedPayload(bytes, header) {
                try decodePayload(payload.span, 0, &values)
            } else {
                try decodePayload(bytes, header.bodyOffset + RowFormat.schemaBytes, &values)
            }
        } catch {
            values.removeSubrange(before...)
            throw error
        }
        return header
    }

    /// Unpacks only what a pick asks for: the values in its order; none for a tombstone.
    package func decode(
        _ bytes: Span<UInt8>, key: EntityKey, picking pick: FeaturePick
    ) throws(RowCodecError) -> DecodedRow {
        let header = try checkedHeader(bytes, key)
        var values: [FeatureValue] = []
        if !header.isTombstone {
            values = [FeatureValue](repeating: .null, count: pick.count)
            if let payload = try unpackedPayload(bytes, header) {
                try decodePayload(payload.span, 0, pick, &values)
            } else {
                try decodePayload(bytes, header.bodyOffset + RowFormat.schemaBytes, pick, &values)
            }
        }
        return DecodedRow(order: header.order, isTombstone: header.isTombstone, values: values)
    }

    private func checkedHeader(_ bytes: Span<UInt8>, _ key: EntityKey) throws(RowCodecError) -> RowHeader {
        let header = try RowHeader(bytes)
        guard bigEndian(bytes, header.bodyOffset, RowFormat.schemaBytes) == UInt64(schemaID) else {
            throw RowCodecError(.wrongSchema, "the row is of another schema")
        }
        let stored = bigEndian(bytes, header.checkOffset, RowFormat.checkBytes)
        guard UInt64(check.value(of: bytes, key: key, checkOffset: header.checkOffset)) == stored else {
            throw RowCodecError(.checkFailed, "the row's check does not fit")
        }
        if header.isTombstone {
            guard !header.flags.contains(.compressed), bytes.count == header.bodyOffset + RowFormat.schemaBytes else {
                throw RowCodecError(.malformed, "a tombstone has a payload")
            }
        }
        return header
    }

    /// The payload of a compressed row, `nil` for a plain one.
    private func unpackedPayload(_ bytes: Span<UInt8>, _ header: RowHeader) throws(RowCodecError) -> [UInt8]? {
        guard header.flags.contains(.compressed) else { return nil }
        var index = header.bodyOffset + RowFormat.schemaBytes
        let size = try readVarint(bytes, &index)
        guard size <= UInt64(RowFormat.maximumPayloadBytes) else {
            throw RowCodecError(.tooLarge, "the payload is too large")
        }
        guard let payload = LZ4Block.decompress(bytes.extracting(index..<bytes.count), size: Int(size)) else {
            throw RowCodecError(.malformed, "the compressed payload is damaged")
        }
        return payload
    }

    private func decodePayload(
        _ bytes: Span<UInt8>, _ start: Int, _ values: inout [FeatureValue]
    ) throws(RowCodecError) {
        var index = try checkedBitmapEnd(bytes, start)
        for feature in types.indices {
            if isNull(bytes, start, feature) {
                values.append(.null)
            } else {
                values.append(try readValue(bytes, &index, types[feature]))
            }
        }
        try requireEnd(bytes, index)
    }

    private func decodePayload(
        _ bytes: Span<UInt8>, _ start: Int, _ pick: FeaturePick, _ values: inout [FeatureValue]
    ) throws(RowCodecError) {
        var index = try checkedBitmapEnd(bytes, start)
        for feature in types.indices where !isNull(bytes, start, feature) {
            if let slot = pick.slot(of: feature) {
                values[slot] = try readValue(bytes, &index, types[feature])
            } else {
                try skipValue(bytes, &index, types[feature])
            }
        }
        try requireEnd(bytes, index)
        for (copy, original) in pick.copies { values[copy] = values[original] }
    }

    private func isNull(_ bytes: Span<UInt8>, _ start: Int, _ feature: Int) -> Bool {
        bytes[start + feature >> 3] >> UInt8(feature & 7) & 1 == 1
    }

    /// Where the null bitmap ends; its spare bits are zero.
    private func checkedBitmapEnd(_ bytes: Span<UInt8>, _ start: Int) throws(RowCodecError) -> Int {
        let end = start + (types.count + 7) / 8
        guard end <= bytes.count else { throw RowCodecError(.truncated, "the row ends in its null bitmap") }
        let used = UInt8(types.count & 7)
        guard used == 0 || bytes[end - 1] >> used == 0 else {
            throw RowCodecError(.malformed, "spare bits of the null bitmap are set")
        }
        return end
    }

    private func requireEnd(_ bytes: Span<UInt8>, _ index: Int) throws(RowCodecError) {
        guard index == bytes.count else { throw RowCodecError(.malformed, "bytes follow the last value") }
    }
}
