import FoundationEssentials

/// How control documents (versions, catalog, markers, ledger entries) become bytes: JSON with sorted keys, readable in place.
package enum ControlDocument {
    /// Encodes a value whose encoding cannot fail: the house's own types hold no NaN and no foreign encoders.
    package static func encode(_ value: some Encodable) throws(StoreError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            throw StoreError(.corrupt, "a control document can't be encoded", detail: "\(error)")
        }
    }

    /// Decodes what `encode` made; unknown fields of a later release are passed over.
    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(StoreError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw StoreError(.corrupt, "a control document can't be decoded", detail: "\(type): \(error)")
        }
    }
}
