import FeatureModel

/// Reads JSON values as values of features.
struct FeatureValueReader {
    let type: FeatureType

    /// Why a value doesn't fit; worded for people.
    struct Misfit: Error {
        let found: String
    }

    /// Reads the value here, whose text was checked before. `null` is a value.
    func read(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(Misfit) -> FeatureValue {
        if cursor.kind(bytes) == .literal, JSONCursor.byte(bytes, cursor.index) == UInt8(ascii: "n") {
            try skip(&cursor, bytes)
            return .null
        }
        switch type {
        case .scalar(let scalar): return try Self.scalar(scalar, &cursor, bytes)
        case .list(let scalar):
            var elements: [FeatureValue] = []
            try list(&cursor, bytes) { (cursor) throws(Misfit) in
                elements.append(try Self.scalar(scalar, &cursor, bytes))
            }
            return .list(elements)
        case .vector(let dimension):
            var elements: [Float] = []
            try list(&cursor, bytes) { (cursor) throws(Misfit) in
                guard elements.count < dimension else { throw Misfit(found: "longer than \(dimension)") }
                elements.append(try Self.float(&cursor, bytes))
            }
            guard elements.count == dimension else { throw Misfit(found: "a list of \(elements.count)") }
            return .vector(elements)
        }
    }

    private func list(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, _ element: (inout JSONCursor) throws(Misfit) -> Void
    ) throws(Misfit) {
        guard cursor.kind(bytes) == .array else { throw Misfit(found: "no list") }
        do throws(WireError) {
            guard try cursor.enter(bytes) else { return }
        } catch {
            throw Misfit(found: error.detail)
        }
        while true {
            try element(&cursor)
            do throws(WireError) {
                guard try cursor.hasMore(bytes, in: .array) else { return }
            } catch {
                throw Misfit(found: error.detail)
            }
        }
    }

    private func skip(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(Misfit) {
        do throws(WireError) {
            try cursor.skipValue(bytes)
        } catch {
            throw Misfit(found: error.detail)
        }
    }

    // MARK: Scalars

    private static func scalar(
        _ type: ScalarType, _ cursor: inout JSONCursor, _ bytes: RawSpan
    ) throws(Misfit) -> FeatureValue {
        switch type {
        case .bool:
            guard cursor.kind(bytes) == .literal, let flag = try? cursor.literal(bytes) else {
                throw Misfit(found: "no boolean")
            }
            return .bool(flag)
        case .int32:
            guard let number = Int32(exactly: try integer(&cursor, bytes)) else {
                throw Misfit(found: "out of its range")
            }
            return .int32(number)
        case .int64: return .int64(try integer(&cursor, bytes))
        case .float32: return .float32(try float(&cursor, bytes))
        case .float64: return .float64(try double(&cursor, bytes))
        case .string:
            guard cursor.kind(bytes) == .string, let text = try? cursor.string(bytes) else {
                throw Misfit(found: "no string")
            }
            return .string(text.string(bytes))
        case .bytes:
            var plain: [UInt8] = []
            guard cursor.kind(bytes) == .string, let text = try? cursor.string(bytes),
                text.appendBase64(bytes, to: &plain)
            else { throw Misfit(found: "no Base64 text") }
            return .bytes(plain)
        case .timestamp: return .timestamp(try time(&cursor, bytes, unit: .seconds))
        }
    }

    /// An integer; a whole number with a fraction of zero counts, as frames with nulls have them.
    private static func integer(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(Misfit) -> Int64 {
        let number = try number(&cursor, bytes)
        if let integer = number.integer { return integer }
        guard !number.isIntegral, let double = number.double(bytes), let integer = Int64(exactly: double),
            double.magnitude <= 0x1p53
        else { throw Misfit(found: number.isIntegral ? "out of its range" : "no integer") }
        return integer
    }

    private static func number(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(Misfit) -> JSONNumber {
        guard cursor.kind(bytes) == .number, let number = try? cursor.number(bytes) else {
            throw Misfit(found: "no number")
        }
        return number
    }

    private static func float(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(Misfit) -> Float {
        let double = try double(&cursor, bytes)
        let float = Float(double)
        guard float.isFinite || !double.isFinite else { throw Misfit(found: "out of its range") }
        return float
    }

    /// A number, or one of the three words for what JSON has no numbers for.
    private static func double(_ cursor: inout JSONCursor, _ bytes: RawSpan) throws(Misfit) -> Double {
        if cursor.kind(bytes) == .string, let word = try? cursor.string(bytes) {
            if word.equals("NaN", bytes) { return .nan }
            if word.equals("Infinity", bytes) { return .infinity }
            if word.equals("-Infinity", bytes) { return -.infinity }
            throw Misfit(found: "no number")
        }
        guard let double = try number(&cursor, bytes).double(bytes) else { throw Misfit(found: "out of its range") }
        return double
    }

    /// A time in microseconds since 1970: RFC 3339 text or a relaxed form of it (without offset: UTC), or a number of units.
    static func time(
        _ cursor: inout JSONCursor, _ bytes: RawSpan, unit: TimeColumn.Unit
    ) throws(Misfit) -> Int64 {
        if cursor.kind(bytes) == .string, let text = try? cursor.string(bytes) {
            guard text.range.count <= 64, let time = Timestamps.parse(text.string(bytes)) else {
                throw Misfit(found: "no time such as 2026-01-31T12:00:00Z")
            }
            return time
        }
        let number = try number(&cursor, bytes)
        let time: Int64?
        if let integer = number.integer {
            let (product, overflows) = integer.multipliedReportingOverflow(by: unit.microseconds)
            time = overflows ? nil : product
        } else {
            time = number.double(bytes).flatMap {
                Int64(exactly: ($0 * Double(unit.microseconds)).rounded())
            }
        }
        guard let time, Timestamps.range.contains(time) else {
            throw Misfit(found: "no time between the years 1 and 9999 in \(unit.rawValue) since 1970")
        }
        return time
    }
}
