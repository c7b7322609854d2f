package import NIOCore

/// The body of a push or a write, checked to be JSON and taken apart; ranges are in its readable bytes.
package struct WriteRequestBody: Sendable, Hashable {
    /// The push source or the view.
    package let name: String
    /// The data frame: an object of columns.
    package let frame: Range<Int>
    /// Where a push is to go: `online` unless it says something else.
    package let destination: String
}

/// Takes the bodies of Feast's writing routes apart. Fields they don't know are ignored.
package enum WriteParser {
    /// A body of `/push`.
    package static func push(_ body: ByteBuffer, limits: WireLimits) throws(WireError) -> WriteRequestBody {
        try request(body, limits, name: "push_source_name")
    }

    /// A body of `/write-to-online-store`.
    package static func write(_ body: ByteBuffer, limits: WireLimits) throws(WireError) -> WriteRequestBody {
        try request(body, limits, name: "feature_view_name")
    }

    private static func request(
        _ body: ByteBuffer, _ limits: WireLimits, name field: StaticString
    ) throws(WireError) -> WriteRequestBody {
        let bytes = body.readableBytesSpan
        let isPush = field.utf8CodeUnitCount == 16
        let fields = try RequestFields(bytes, limits: limits) { name in
            if name.equals(field, bytes) { return 0 }
            if name.equals("df", bytes) { return 1 }
            return isPush && name.equals("to", bytes) ? 2 : nil
        }
        let name = try fields.required(0, "\(field)", .string, bytes)
        let frame = try fields.required(1, "df", .object, bytes)
        let destination = try fields.optional(2, "to", .string, bytes)
        return WriteRequestBody(
            name: try text(name, bytes, limits, "\(field)"), frame: frame,
            destination: try destination.map { range throws(WireError) in try text(range, bytes, limits, "to") }
                ?? "online")
    }

    private static func text(
        _ range: Range<Int>, _ bytes: RawSpan, _ limits: WireLimits, _ field: String
    ) throws(WireError) -> String {
        guard range.count <= limits.stringBytes else {
            throw WireError(.limitExceeded, "a name is over \(limits.stringBytes) bytes", path: [.field(field)])
        }
        var cursor = JSONCursor(at: range.lowerBound, maximumDepth: limits.nesting)
        return try cursor.string(bytes).string(bytes)
    }
}
