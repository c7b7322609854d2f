/// The form of a value in a view's document: a mapping with one key, which names the type.
struct StoredValue: Codable {
    let value: FeatureValue

    init(_ value: FeatureValue) {
        self.value = value
    }

    private enum CodingKeys: String, CodingKey {
        case null, bool, int32, int64, float32, float64, string, bytes, timestamp, list, vector
    }

    init(from decoder: any Decoder) throws {
        let form = try decoder.container(keyedBy: CodingKeys.self)
        guard form.allKeys.count == 1, let key = form.allKeys.first else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a value names exactly one type"))
        }
        value =
            switch key {
            case .null: .null
            case .bool: .bool(try form.decode(Bool.self, forKey: key))
            case .int32: .int32(try form.decode(Int32.self, forKey: key))
            case .int64: .int64(try form.decode(Int64.self, forKey: key))
            case .float32: .float32(try form.decode(Float.self, forKey: key))
            case .float64: .float64(try form.decode(Double.self, forKey: key))
            case .string: .string(try form.decode(String.self, forKey: key))
            case .bytes: .bytes(try form.decode([UInt8].self, forKey: key))
            case .timestamp: .timestamp(try form.decode(Int64.self, forKey: key))
            case .list: .list(try form.decode([StoredValue].self, forKey: key).map(\.value))
            case .vector: .vector(try form.decode([Float].self, forKey: key))
            }
    }

    func encode(to encoder: any Encoder) throws {
        var form = encoder.container(keyedBy: CodingKeys.self)
        switch value {
        case .null: try form.encode(true, forKey: .null)
        case .bool(let value): try form.encode(value, forKey: .bool)
        case .int32(let value): try form.encode(value, forKey: .int32)
        case .int64(let value): try form.encode(value, forKey: .int64)
        case .float32(let value): try form.encode(value, forKey: .float32)
        case .float64(let value): try form.encode(value, forKey: .float64)
        case .string(let value): try form.encode(value, forKey: .string)
        case .bytes(let value): try form.encode(value, forKey: .bytes)
        case .timestamp(let value): try form.encode(value, forKey: .timestamp)
        case .list(let values): try form.encode(values.map(StoredValue.init), forKey: .list)
        case .vector(let values): try form.encode(values, forKey: .vector)
        }
    }
}
