package import HTTPTypes

/// How a body of `/v1/events` says its events.
package enum EventFormat: Sendable, Hashable {
    /// One event, or a list of them.
    case plain
    /// A CloudEvent in structured mode, `application/cloudevents+json`.
    case cloudEvent
    /// A list of those, `application/cloudevents-batch+json`.
    case cloudEvents
    /// A CloudEvent in binary mode: attributes in headers by their names without `ce-`, data in the body.
    case binary([String: String])

    /// By the headers of a request. Anything that isn't a CloudEvent counts as plain JSON, whatever its content type.
    package init(_ headers: HTTPFields) throws(WireError) {
        let type = headers[.contentType].map { $0.prefix { $0 != ";" }.lowercased() } ?? ""
        switch type.split(separator: " ").first {
        case "application/cloudevents+json": self = .cloudEvent
        case "application/cloudevents-batch+json": self = .cloudEvents
        default:
            var attributes: [String: String] = [:]
            for field in headers where field.name.canonicalName.hasPrefix("ce-") {
                let name = String(field.name.canonicalName.dropFirst(3))
                guard attributes[name] == nil else {
                    throw WireError(.invalidValue, "the header ce-\(name) is there twice")
                }
                attributes[name] = try Self.decoded(field.value, name)
            }
            self = attributes.isEmpty ? .plain : .binary(attributes)
        }
    }

    /// A header's value: percent-encoded UTF-8, where it has more than printable ASCII in it (HTTP binding 1.0.2, 3.1.3.2).
    private static func decoded(_ value: String, _ name: String) throws(WireError) -> String {
        let wrong = WireError(.invalidValue, "the header ce-\(name) is not percent-encoded UTF-8")
        var bytes: [UInt8] = []
        var rest = value.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                throw wrong
            }
            bytes.append(high << 4 | low)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw wrong }
        return text
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
