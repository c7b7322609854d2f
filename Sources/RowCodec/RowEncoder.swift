package import FeatureModel

/// Packs rows of one view. A value, free to share; made once a view, since it precomputes what all rows share.
package struct RowEncoder: Sendable {
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

    /// Appends the packed row of `values`, one a feature in the view's order. A pushed row must have an event time.
    ///
    /// - Throws: `wrongValue` or `tooLarge`; `output` is then as before.
    package func encode(
        key: EntityKey, order: RowOrder, values: ArraySlice<FeatureValue>, isPushed: Bool = false,
        into output: inout [UInt8]
    ) throws(RowCodecError) {
        guard values.count == types.count else {
            throw RowCodecError(.wrongValue, "the number of values is not the number of features")
        }
        var bound = (types.count + 7) / 8
        var typeIndex = 0
        for value in values {
            if !value.isNull { bound += try sizeBound(value, types[typeIndex]) }
            typeIndex += 1
        }
        // A float64 may take 2 of the 9 bytes that the bound counts, so a bound this high still may not be too large.
        guard bound <= RowFormat.maximumPayloadBytes * 9 / 2 else { throw tooLarge }
        let capacity = RowFormat.minimumRowBytes + RowFormat.eventTimeBytes + bound
        try output.append(addingCapacity: capacity) { (row: inout OutputSpan<UInt8>) throws(RowCodecError) in
            let checkOffset = appendHead(order, isPushed ? .pushed : [], &row)
            let payloadOffset = row.count
            appendPayload(values, &row)
            let payloadBytes = row.count - payloadOffset
            if payloadBytes >= RowFormat.compressionThreshold, payloadBytes <= RowFormat.maximumPayloadBytes {
                compressPayload(at: payloadOffset, &row)
            }
            guard payloadBytes <= RowFormat.maximumPayloadBytes, row.count <= RowFormat.maximumRowBytes else {
                row.removeAll()
                throw tooLarge
            }
            setCheck(key, checkOffset, &row)
        }
    }

    /// Appends the packed row that says the entity has none any more.
    package func encodeTombstone(key: EntityKey, order: RowOrder, into output: inout [UInt8]) {
        output.append(addingCapacity: RowFormat.minimumRowBytes + RowFormat.eventTimeBytes) { row in
            let checkOffset = appendHead(order, .tombstone, &row)
            setCheck(key, checkOffset, &row)
        }
    }

    private var tooLarge: RowCodecError { RowCodecError(.tooLarge, "the row is too large") }

    /// Everything before the payload, with room for the check. Returns where the check goes.
    private func appendHead(_ order: RowOrder, _ flags: RowFlags, _ row: inout OutputSpan<UInt8>) -> Int {
        let allFlags = order.eventTime == nil ? flags : flags.union(.eventTime)
        row.append(RowFormat.version << 4 | allFlags.rawValue)
        appendBigEndian(UInt64(order.epoch), 2, &row)
        appendBigEndian(order.position, 8, &row)
        if let eventTime = order.eventTime {
            appendBigEndian(UInt64(bitPattern: eventTime) ^ (1 << 63), 8, &row)
        }
        let checkOffset = row.count
        appendBigEndian(0, RowFormat.checkBytes, &row)
        appendBigEndian(UInt64(schemaID), RowFormat.schemaBytes, &row)
        return checkOffset
    }

    private func appendPayload(_ values: ArraySlice<FeatureValue>, _ row: inout OutputSpan<UInt8>) {
        var bits: UInt8 = 0
        var index = 0
        for value in values {
            if value.isNull { bits |= 1 << UInt8(index & 7) }
            index += 1
            if index & 7 == 0 {
                row.append(bits)
                bits = 0
            }
        }
        if index & 7 != 0 { row.append(bits) }
        for value in values { appendValue(value, &row) }
    }

    /// Puts an LZ4 block in place of the payload if that saves an eighth.
    private func compressPayload(at offset: Int, _ row: inout OutputSpan<UInt8>) {
        let size = row.count - offset
        let sizeBytes = varintBytes(UInt64(size))
        let limit = size - size / 8 - sizeBytes
        guard let block = LZ4Block.compress(row.span.extracting(offset..<row.count), limit: limit) else { return }
        row.removeLast(size)
        row[0] |= RowFlags.compressed.rawValue
        appendVarint(UInt64(size), &row)
        for byte in block { row.append(byte) }
    }

    private func setCheck(_ key: EntityKey, _ offset: Int, _ row: inout OutputSpan<UInt8>) {
        let value = check.value(of: row.span, key: key, checkOffset: offset)
        for index in 0..<RowFormat.checkBytes {
            row[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index))
        }
    }
}
