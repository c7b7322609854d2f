package import FeatureModel

/// How a feature's value becomes a number of a model.
package enum FeatureEncoding: Hashable, Sendable {
    /// The number itself.
    case number
    /// 1 or 0.
    case boolean
    /// The place of the text, or of the number as text, in the list; missing for any other.
    case category([String])
    /// The seconds from the value, which is a time, to now. The unit says what a whole number counts; a `timestamp` needs none.
    case age(TimeColumn.Unit)

    /// The encoding that a type has when nobody says another; `nil` where there is none, as for lists.
    package static func standard(for type: FeatureType) -> FeatureEncoding? {
        guard case .scalar(let scalar) = type else { return nil }
        return switch scalar {
        case .bool: .boolean
        case .int32, .int64, .float32, .float64: .number
        case .timestamp: .age(.microseconds)
        case .string, .bytes: nil
        }
    }

    /// Whether values of the type have such an encoding.
    package func accepts(_ type: FeatureType) -> Bool {
        guard case .scalar(let scalar) = type else { return false }
        return switch (self, scalar) {
        case (.number, .int32), (.number, .int64), (.number, .float32), (.number, .float64): true
        case (.boolean, .bool): true
        case (.category, .string), (.category, .int32), (.category, .int64): true
        case (.age, .timestamp), (.age, .int32), (.age, .int64): true
        default: false
        }
    }

    /// The number of a value, NaN where the value is missing or does not suit. `now` is in microseconds since 1970.
    package func encode(_ value: FeatureValue, now: Int64) -> Float {
        number(from: raw(value), now: now)
    }

    /// What is kept of a value until it is known for when its number is wanted; NaN where it is missing.
    package func raw(_ value: FeatureValue) -> Double {
        switch self {
        case .number: value.number ?? .nan
        case .boolean: if case .bool(let flag) = value { flag ? 1 : 0 } else { .nan }
        case .category(let texts): Self.text(value).flatMap(texts.firstIndex(of:)).map { Double($0) } ?? .nan
        case .age(let unit): Self.seconds(value, unit) ?? .nan
        }
    }

    /// The number at a time, in microseconds since 1970, of what `raw` gave.
    package func number(from raw: Double, now: Int64) -> Float {
        if case .age = self { Float(Double(now) / 1_000_000 - raw) } else { Float(raw) }
    }

    private static func text(_ value: FeatureValue) -> String? {
        switch value {
        case .string(let text): text
        case .int32(let number): String(number)
        case .int64(let number): String(number)
        default: nil
        }
    }

    private static func seconds(_ value: FeatureValue, _ unit: TimeColumn.Unit) -> Double? {
        switch value {
        case .timestamp(let time): Double(time) / 1_000_000
        case .int32(let number): Double(number) * Double(unit.microseconds) / 1_000_000
        case .int64(let number): Double(number) * Double(unit.microseconds) / 1_000_000
        default: nil
        }
    }
}
