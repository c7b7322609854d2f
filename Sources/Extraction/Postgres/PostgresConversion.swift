import FeatureModel

/// Why a cell is not what the view describes.
struct CellFault: Error, Equatable {
    /// A metric label: `type`, `range`, `encoding`, `too_large`, `null_key`, `null_time`.
    let rule: StaticString
    let reason: String

    init(_ rule: StaticString, _ reason: String) {
        self.rule = rule
        self.reason = String(reason.prefix(200))
    }

    static func == (left: CellFault, right: CellFault) -> Bool {
        left.rule.description == right.rule.description && left.reason == right.reason
    }
}

/// Turns the text of PostgreSQL's values into values of features: lossless, or a fault. Rounding happens only where a
/// feature's own type asks for it: `numeric` to either float, `float8` to `float32`.
struct PostgresConversion: Sendable {
    private let kind: PostgresType.Kind
    private let element: PostgresType.Kind?
    private let feature: FeatureType

    /// The longest string or bytes taken, in bytes.
    static let maximumBytes = 1 << 20

    /// - Returns: `nil` when values of the column's type can't be the feature's.
    init?(_ type: PostgresType, elements: [UInt32: PostgresType], to feature: FeatureType) {
        kind = type.kind
        if case .array(let oid) = type.kind { element = elements[oid]?.kind } else { element = nil }
        self.feature = feature
        guard accepts else { return nil }
    }

    private var accepts: Bool {
        switch (feature, kind) {
        case (.scalar(let scalar), _): Self.accepts(kind, scalar)
        case (.list(.bytes), .json), (.list(.bytes), .vector): false
        case (.list(.float32), .vector), (.list(.float64), .vector): true
        case (.list, .json), (.vector, .json), (.vector, .vector): true
        case (.list(let scalar), .array): element.map { Self.accepts($0, scalar) } ?? false
        case (.vector, .array): element.map { Self.accepts($0, .float32) } ?? false
        default: false
        }
    }

    private static func accepts(_ kind: PostgresType.Kind, _ scalar: ScalarType) -> Bool {
        switch (scalar, kind) {
        case (.bool, .bool), (.bytes, .bytes), (.timestamp, .time): true
        case (.int32, .integer), (.int32, .numeric), (.int64, .integer), (.int64, .numeric): true
        case (.float32, .integer), (.float32, .numeric), (.float32, .float4), (.float32, .float8): true
        case (.float64, .integer), (.float64, .numeric), (.float64, .float4), (.float64, .float8): true
        case (.string, .text), (.string, .padded), (.string, .uuid), (.string, .enumeration), (.string, .json): true
        default: false
        }
    }

    /// The value of a cell.
    func value(_ cell: PostgresCell) throws(CellFault) -> FeatureValue {
        switch cell {
        case .null: return .null
        case .undecodable: throw CellFault("encoding", "expected UTF-8")
        case .text(let text):
            switch feature {
            case .scalar(let scalar): return try Self.scalar(text, kind, scalar)
            case .list(let scalar): return .list(try elements(text, scalar))
            case .vector(let dimension): return .vector(try floats(text, dimension))
            }
        }
    }

    private func floats(_ text: String, _ dimension: Int) throws(CellFault) -> [Float] {
        var floats: [Float] = []
        for element in try elements(text, .float32) {
            if case .float32(let value) = element { floats.append(value) }
        }
        guard floats.count == dimension else {
            throw CellFault("type", "expected \(dimension) elements, found \(floats.count)")
        }
        return floats
    }

    private func elements(_ text: String, _ scalar: ScalarType) throws(CellFault) -> [FeatureValue] {
        var values: [FeatureValue] = []
        if let element {
            guard let parts = FlatArray.parse(postgres: text) else {
                throw CellFault("type", "expected an array of one dimension")
            }
            for part in parts {
                guard let part else { throw CellFault("type", "a list holds no nulls") }
                values.append(try Self.scalar(part, element, scalar))
            }
        } else {
            guard let parts = FlatArray.parse(json: text) else {
                throw CellFault("type", "expected a flat JSON array")
            }
            for part in parts { values.append(try Self.element(part, scalar)) }
        }
        return values
    }

    private static func element(_ element: FlatElement, _ scalar: ScalarType) throws(CellFault) -> FeatureValue {
        switch (element, scalar) {
        case (.null, _): throw CellFault("type", "a list holds no nulls")
        case (.bool(let value), .bool): return .bool(value)
        case (.number(let text), .int32), (.number(let text), .int64), (.number(let text), .float32),
            (.number(let text), .float64):
            return try Self.scalar(text, .numeric, scalar)
        case (.string(let text), .string): return try Self.scalar(text, .text, .string)
        case (.string(let text), .timestamp): return try Self.scalar(text, .time, .timestamp)
        default: throw CellFault("type", "expected elements of \(scalar.rawValue)")
        }
    }

    private static func scalar(
        _ text: String, _ kind: PostgresType.Kind, _ scalar: ScalarType
    ) throws(CellFault) -> FeatureValue {
        switch scalar {
        case .bool: return .bool(text == "t")
        case .int32:
            guard let value = Int32(exactly: try integer(text)) else {
                throw CellFault("range", "expected int32, found \(text)")
            }
            return .int32(value)
        case .int64: return .int64(try integer(text))
        case .float32: return .float32(try float(text, isInteger: kind == .integer))
        case .float64: return .float64(try double(text, isInteger: kind == .integer))
        case .string: return .string(try string(text, kind))
        case .bytes: return .bytes(try bytes(text))
        case .timestamp: return .timestamp(try time(text))
        }
    }

    /// An integer, also of a `numeric` without fraction.
    static func integer(_ text: String) throws(CellFault) -> Int64 {
        if let value = Int64(text) { return value }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 2, parts[1].utf8.allSatisfy({ $0 == UInt8(ascii: "0") }), let value = Int64(parts[0]) {
            return value
        }
        throw CellFault("range", "expected an integer of 64 bits, found \(text.prefix(40))")
    }

    private static func float(_ text: String, isInteger: Bool) throws(CellFault) -> Float {
        if isInteger {
            guard let value = Float(exactly: try integer(text)) else {
                throw CellFault("range", "\(text) is not exact in float32")
            }
            return value
        }
        guard let value = Float(text), value.isFinite else {
            throw CellFault("range", "expected a finite float32, found \(text.prefix(40))")
        }
        return value
    }

    private static func double(_ text: String, isInteger: Bool) throws(CellFault) -> Double {
        if isInteger {
            guard let value = Double(exactly: try integer(text)) else {
                throw CellFault("range", "\(text) is not exact in float64")
            }
            return value
        }
        guard let value = Double(text), value.isFinite else {
            throw CellFault("range", "expected a finite float64, found \(text.prefix(40))")
        }
        return value
    }

    /// A string, without the padding of `char(n)`.
    static func string(_ text: String, _ kind: PostgresType.Kind) throws(CellFault) -> String {
        guard text.utf8.count <= maximumBytes else {
            throw CellFault("too_large", "expected at most \(maximumBytes) bytes, found \(text.utf8.count)")
        }
        guard kind == .padded, text.utf8.last == 0x20 else { return text }
        var bytes = Array(text.utf8)
        while bytes.last == 0x20 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes of `\x…`.
    static func bytes(_ text: String) throws(CellFault) -> [UInt8] {
        let digits = text.utf8
        guard digits.count <= 2 * maximumBytes + 2 else {
            throw CellFault("too_large", "expected at most \(maximumBytes) bytes, found \(digits.count / 2 - 1)")
        }
        guard text.hasPrefix("\\x"), digits.count % 2 == 0 else { throw CellFault("type", "expected bytes") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2 - 1)
        var high: UInt8?
        for digit in digits.dropFirst(2) {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else {
                throw CellFault("type", "expected bytes")
            }
            if let first = high {
                bytes.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return bytes
    }

    /// Microseconds since 1970. `infinity`, dates before the year 1 and after 9999 are faults.
    static func time(_ text: String) throws(CellFault) -> Int64 {
        guard let value = Timestamps.parse(text) else {
            throw CellFault("range", "expected a time in the years 1 to 9999, found \(text.prefix(40))")
        }
        return value
    }

    /// `\x` and hex digits.
    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = Array("\\x".utf8)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
