package import FeatureModel
import ServingProtos
import SwiftProtobuf

/// Values as Feast stores them.
package enum FeastStoredValue {
    /// What is wrong with stored bytes.
    package struct DecodingError: Error, Hashable {
        /// For people; without the bytes themselves.
        package let reason: String
    }

    /// The longest value that is read, in bytes.
    package static let maximumBytes = 16 << 20

    /// Decodes a field of a feature. No bytes are no value, as is an explicit null.
    ///
    /// - Throws: For bytes that are no `feast.types.Value`, and for values of a type that features here can't have.
    package static func decode(_ bytes: [UInt8]) throws(DecodingError) -> FeatureValue {
        guard !bytes.isEmpty else { return .null }
        guard bytes.count <= maximumBytes else {
            throw DecodingError(reason: "the value is over \(maximumBytes) bytes")
        }
        let message: Feast_Types_Value
        do {
            message = try Feast_Types_Value(serializedBytes: bytes)
        } catch {
            throw DecodingError(reason: "the bytes are no value of Feast")
        }
        return try value(message)
    }

    /// Decodes the field of an event time, in microseconds since 1970.
    package static func decodeTimestamp(_ bytes: [UInt8]) throws(DecodingError) -> Int64 {
        guard bytes.count <= 64, let time = try? Google_Protobuf_Timestamp(serializedBytes: bytes),
            (0..<1_000_000_000).contains(time.nanos)
        else { throw DecodingError(reason: "the bytes are no timestamp") }
        return try microseconds(time.seconds, nanos: time.nanos)
    }

    /// Makes a value one of the declared type where nothing is lost by it: types of features grow wider, and rows that were
    /// written before stay. `nil` where that can't be.
    package static func widened(_ value: FeatureValue, to type: FeatureType) -> FeatureValue? {
        if value.matches(type) { return value }
        switch (value, type) {
        case (.list(let elements), .list(let scalar)):
            let wide = elements.compactMap { widened($0, to: .scalar(scalar)) }
            return wide.count == elements.count ? .list(wide) : nil
        case (.int32(let number), .scalar(.int64)): return .int64(Int64(number))
        case (.int32(let number), .scalar(.float64)): return .float64(Double(number))
        case (.float32(let number), .scalar(.float64)): return .float64(Double(number))
        default: return nil
        }
    }

    private static func value(_ message: Feast_Types_Value) throws(DecodingError) -> FeatureValue {
        switch message.val {
        case nil, .nullVal: return .null
        case .boolVal(let flag): return .bool(flag)
        case .int32Val(let number): return .int32(number)
        case .int64Val(let number): return .int64(number)
        case .floatVal(let number): return .float32(number)
        case .doubleVal(let number): return .float64(number)
        case .stringVal(let text), .jsonVal(let text), .uuidVal(let text), .timeUuidVal(let text),
            .decimalVal(let text):
            return .string(text)
        case .bytesVal(let bytes): return .bytes(Array(bytes))
        // Feast writes the lowest number for a time that isn't.
        case .unixTimestampVal(.min): return .null
        case .unixTimestampVal(let seconds): return .timestamp(try microseconds(seconds))
        default: return try list(message)
        }
    }

    /// Sets are lists in the order in which they are stored, as in Feast's own answers.
    private static func list(_ message: Feast_Types_Value) throws(DecodingError) -> FeatureValue {
        switch message.val {
        case .boolListVal(let list): .list(list.val.map(FeatureValue.bool))
        case .boolSetVal(let set): .list(set.val.map(FeatureValue.bool))
        case .int32ListVal(let list): .list(list.val.map(FeatureValue.int32))
        case .int32SetVal(let set): .list(set.val.map(FeatureValue.int32))
        case .int64ListVal(let list): .list(list.val.map(FeatureValue.int64))
        case .int64SetVal(let set): .list(set.val.map(FeatureValue.int64))
        case .floatListVal(let list): .list(list.val.map(FeatureValue.float32))
        case .floatSetVal(let set): .list(set.val.map(FeatureValue.float32))
        case .doubleListVal(let list): .list(list.val.map(FeatureValue.float64))
        case .doubleSetVal(let set): .list(set.val.map(FeatureValue.float64))
        case .bytesListVal(let list): .list(list.val.map { FeatureValue.bytes(Array($0)) })
        case .bytesSetVal(let set): .list(set.val.map { FeatureValue.bytes(Array($0)) })
        case .unixTimestampListVal(let list): .list(try times(list.val))
        case .unixTimestampSetVal(let set): .list(try times(set.val))
        default: .list(try texts(message).map(FeatureValue.string))
        }
    }

    private static func texts(_ message: Feast_Types_Value) throws(DecodingError) -> [String] {
        switch message.val {
        case .stringListVal(let list), .jsonListVal(let list), .uuidListVal(let list), .timeUuidListVal(let list),
            .decimalListVal(let list):
            list.val
        case .stringSetVal(let set), .uuidSetVal(let set), .timeUuidSetVal(let set), .decimalSetVal(let set): set.val
        default: throw DecodingError(reason: "the value is of a type that no feature here has")
        }
    }

    private static func times(_ seconds: [Int64]) throws(DecodingError) -> [FeatureValue] {
        var times: [FeatureValue] = []
        for second in seconds { times.append(.timestamp(try microseconds(second))) }
        return times
    }

    private static func microseconds(_ seconds: Int64, nanos: Int32 = 0) throws(DecodingError) -> Int64 {
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, isOver) = whole.addingReportingOverflow(Int64(nanos) / 1_000)
        guard !overflow, !isOver else { throw DecodingError(reason: "the time is out of range") }
        return sum
    }
}
