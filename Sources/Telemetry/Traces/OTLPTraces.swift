/// Spans as OTLP's JSON: `ExportTraceServiceRequest`, whose ids are hex and whose times are decimal strings.
struct OTLPTraces {
    private(set) var bytes: [UInt8] = []
    private let wall: UInt64

    /// - Parameters:
    ///   - records: The spans.
    ///   - resource: Who they are of, by attribute.
    ///   - version: Of the code that made them.
    ///   - wall: Nanoseconds to add to the spans' clock for those since 1970.
    init(_ records: [SpanRecord], resource: [(key: String, value: String)], version: String, wall: UInt64) {
        self.wall = wall
        bytes.reserveCapacity(256 + 640 * records.count)
        raw("{\"resourceSpans\":[{\"resource\":{\"attributes\":[")
        for (index, attribute) in resource.enumerated() {
            if index > 0 { raw(",") }
            self.attribute(attribute.key, .text(attribute.value))
        }
        raw("]},\"scopeSpans\":[{\"scope\":{\"name\":\"tidemark\",\"version\":")
        quoted(version)
        raw("},\"spans\":[")
        for (index, record) in records.enumerated() {
            if index > 0 { raw(",") }
            span(record)
        }
        raw("]}]}]}")
    }

    private mutating func span(_ record: SpanRecord) {
        raw("{\"traceId\":\"\(record.context.traceID)\",\"spanId\":\"\(record.context.spanID)\"")
        if record.parent != 0 { raw(",\"parentSpanId\":\"\(Hex.text(record.parent))\"") }
        if let state = record.state {
            raw(",\"traceState\":")
            quoted(state)
        }
        raw(",\"flags\":\(record.context.flags),\"name\":")
        quoted(record.name)
        raw(",\"kind\":\(record.kind.rawValue),\"startTimeUnixNano\":\"\(record.start &+ wall)\"")
        raw(",\"endTimeUnixNano\":\"\(record.end &+ wall)\",\"attributes\":[")
        for index in 0..<record.attributes.count {
            if index > 0 { raw(",") }
            let (key, value) = record.attributes[index]
            attribute(key.rawValue, value)
        }
        raw("]")
        if record.attributes.dropped > 0 { raw(",\"droppedAttributesCount\":\(record.attributes.dropped)") }
        raw(record.isFailed ? ",\"status\":{\"code\":2}}" : ",\"status\":{}}")
    }

    private mutating func attribute(_ key: String, _ value: SpanValue) {
        raw("{\"key\":")
        quoted(key)
        switch value {
        case .none: raw(",\"value\":{}}")
        case .number(let number): raw(",\"value\":{\"intValue\":\"\(number)\"}}")
        case .flag(let flag): raw(",\"value\":{\"boolValue\":\(flag)}}")
        case .text(let text):
            raw(",\"value\":{\"stringValue\":")
            quoted(text)
            raw("}}")
        }
    }

    private mutating func raw(_ text: String) { bytes += text.utf8 }

    private mutating func quoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20: raw("\\u00\(Hex.text(byte: byte))")
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
