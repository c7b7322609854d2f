/// A span under way, of a trace that is recorded: there is none for other requests, so that they pay for no more than an
/// optional. It may move between threads; nothing is seen of it before `end`.
///
///     let span = buffer.begin("POST /v1/lookup", .server, parent: fields.trace)      // nil where not recorded
///     var plan = span?.child(SpanName.plan)
///     plan?.set(.views, 3)
///     plan?.end()
///     span?.end()
package struct Span: Sendable {
    /// Bytes of a text; longer ones are cut.
    private static let longestText = 256

    private var record: SpanRecord
    private let buffer: SpanBuffer

    init(_ record: SpanRecord, _ buffer: SpanBuffer) {
        self.record = record
        self.buffer = buffer
    }

    /// The span itself: for `traceparent` of what it calls, for logs and exemplars.
    package var context: TraceContext { record.context }

    /// The `tracestate` to hand on with `context`.
    package var state: String? { record.state }

    /// When it began, in nanoseconds of the monotonic clock.
    package var start: UInt64 { record.start }

    /// Gives it another name.
    package mutating func rename(_ name: String) { record.name = name }

    /// Sets an attribute to a number.
    package mutating func set(_ key: SpanKey, _ number: Int) { record.attributes.set(key, .number(number)) }

    /// Sets an attribute to a text, cut at 256 bytes. Not for what identifies a person: spans leave the house.
    package mutating func set(_ key: SpanKey, _ text: String) { record.attributes.set(key, .text(Self.cut(text))) }

    /// Sets an attribute to yes or no.
    package mutating func set(_ key: SpanKey, _ flag: Bool) { record.attributes.set(key, .flag(flag)) }

    /// Says that what it stands for failed. `type` is a word of a small set, such as a code.
    package mutating func fail(_ type: String) {
        record.isFailed = true
        set(.errorType, type)
    }

    /// A span within this one. `start` is in nanoseconds of the monotonic clock.
    package func child(
        _ name: String, _ kind: SpanKind = .internal, at start: UInt64 = MonotonicTime.now()
    ) -> Span {
        buffer.child(of: record, name, kind, at: start)
    }

    /// Hands it to the exporter. Once; `end` is in nanoseconds of the monotonic clock.
    package consuming func end(at end: UInt64 = MonotonicTime.now()) {
        record.end = max(record.start, end)
        buffer.append(record)
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > longestText else { return text }
        return String(decoding: text.utf8.prefix(longestText), as: UTF8.self)
    }
}
