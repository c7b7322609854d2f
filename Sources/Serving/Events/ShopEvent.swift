package import FeatureModel
import OnlineStore
import Recommend

/// What a user did with an item: a view, a cart, an order.
package struct ShopEvent: Sendable, Hashable {
    /// What was done.
    package enum Kind: String, Sendable, CaseIterable {
        case view, cart, order
    }

    package let id: String
    /// Who named it; ids of two sources are two events.
    package var source: String?
    package var kind: Kind
    /// Microseconds since 1970; `nil` where the caller does not say.
    package var time: Int64?
    /// The user's key columns.
    package var entity: [String: EntityKeyValue]
    package var item: EntityKeyValue
    package var quantity: Int64?
    /// A JSON number as it was sent, so that no digit of it is lost.
    package var price: [UInt8]?
    /// The recommendation that it comes from, by the `request_id` of its answer.
    package var requestID: String?
    /// Where in that answer, from 1.
    package var position: Int64?
    /// What else the caller keeps with it: a JSON object.
    package var properties: [UInt8]?
    /// Attributes of a CloudEvent that have no place above, as JSON values.
    package var extensions: [String: [UInt8]] = [:]

    /// One JSON object without a line feed. `received` is in microseconds since 1970.
    package func json(received: Int64) -> [UInt8] {
        var output = JSONBytes()
        output.raw("{\"id\":")
        output.string(id)
        output.field("source", source) { $0.string($1) }
        output.raw(",\"type\":\"\(kind.rawValue)\",\"time\":")
        output.value(.timestamp(time ?? received))
        output.raw(",\"received\":")
        output.value(.timestamp(received))
        output.raw(",\"entity\":")
        output.entity(entity)
        output.raw(",\"item\":")
        output.key(item)
        output.field("quantity", quantity) { $0.value(.int64($1)) }
        output.field("price", price) { $0.raw($1) }
        output.field("request_id", requestID) { $0.string($1) }
        output.field("position", position) { $0.value(.int64($1)) }
        output.field("properties", properties) { $0.line($1) }
        if !extensions.isEmpty {
            output.raw(",\"extensions\":{")
            output.list(extensions.sorted { $0.key < $1.key }) { output, attribute in
                output.string(attribute.key)
                output.raw(":")
                output.line(attribute.value)
            }
            output.raw("}")
        }
        output.raw("}")
        return output.bytes
    }
}

extension JSONBytes {
    fileprivate mutating func field<Value>(
        _ name: StaticString, _ value: Value?, _ write: (inout JSONBytes, Value) -> Void
    ) {
        guard let value else { return }
        raw(",\"\(name)\":")
        write(&self, value)
    }

    /// JSON in one line: line ends can only be blanks between its parts.
    fileprivate mutating func line(_ json: [UInt8]) {
        raw(json.lazy.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
    }
}
