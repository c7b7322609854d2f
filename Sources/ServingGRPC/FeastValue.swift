import FeatureModel
import FoundationEssentials
import ServingProtos
import SwiftProtobuf

extension Feast_Types_Value {
    /// A value as Feast words it. `type` is what it is declared as, since an empty list doesn't tell; `null` is no value.
    init(_ value: FeatureValue, _ type: FeatureType) {
        self.init()
        switch value {
        case .null: break
        case .bool(let flag): val = .boolVal(flag)
        case .int32(let number): val = .int32Val(number)
        case .int64(let number): val = .int64Val(number)
        case .float32(let number): val = .floatVal(number)
        case .float64(let number): val = .doubleVal(number)
        case .string(let text): val = .stringVal(text)
        case .bytes(let bytes): val = .bytesVal(Data(bytes))
        case .timestamp(let microseconds): val = .unixTimestampVal(Self.seconds(microseconds))
        case .vector(let elements): val = .floatListVal(.with { $0.val = elements })
        case .list(let elements):
            guard case .list(let scalar) = type else { return }
            val = Self.list(elements, scalar)
        }
    }

    private static func list(_ elements: [FeatureValue], _ scalar: ScalarType) -> OneOf_Val {
        switch scalar {
        case .bool:
            .boolListVal(.with { $0.val = elements.compactMap { if case .bool(let it) = $0 { it } else { nil } } })
        case .int32:
            .int32ListVal(.with { $0.val = elements.compactMap { if case .int32(let it) = $0 { it } else { nil } } })
        case .int64:
            .int64ListVal(.with { $0.val = elements.compactMap { if case .int64(let it) = $0 { it } else { nil } } })
        case .float32:
            .floatListVal(.with { $0.val = elements.compactMap { if case .float32(let it) = $0 { it } else { nil } } })
        case .float64:
            .doubleListVal(.with { $0.val = elements.compactMap { if case .float64(let it) = $0 { it } else { nil } } })
        case .string:
            .stringListVal(.with { $0.val = elements.compactMap { if case .string(let it) = $0 { it } else { nil } } })
        case .bytes:
            .bytesListVal(
                .with { $0.val = elements.compactMap { if case .bytes(let it) = $0 { Data(it) } else { nil } } })
        case .timestamp:
            .unixTimestampListVal(
                .with { $0.val = elements.compactMap { if case .timestamp(let it) = $0 { seconds(it) } else { nil } } })
        }
    }

    /// Whole seconds since 1970, rounded down: Feast has no finer ones.
    private static func seconds(_ microseconds: Int64) -> Int64 {
        microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0)
    }
}

extension Feast_Serving_FieldStatus {
    /// Feast's word. Where it has none: a default is a value, and a failure is INVALID. `imitating` says PRESENT of all that
    /// Feast's server can't tell apart.
    init(_ status: FeatureStatus, imitating: Bool) {
        switch status {
        case .present, .defaulted: self = .present
        case .failed: self = .invalid
        case _ where imitating: self = .present
        case .nullValue: self = .nullValue
        case .notFound: self = .notFound
        case .outsideMaxAge: self = .outsideMaxAge
        }
    }
}
