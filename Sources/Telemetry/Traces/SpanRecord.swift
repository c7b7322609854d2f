/// A span that ended, as it waits for its export: of one size, whatever the request was.
struct SpanRecord: Sendable {
    /// What is known of a span by name. What doesn't fit is counted.
    struct Attributes: Sendable {
        static let limit = 12

        private var slots = InlineArray<12, (key: SpanKey, value: SpanValue)>(repeating: (.requestID, .none))
        private(set) var count = 0
        private(set) var dropped = 0

        /// Sets one; a key that is there already gets another value.
        mutating func set(_ key: SpanKey, _ value: SpanValue) {
            for index in 0..<count where slots[index].key == key { return slots[index].value = value }
            guard count < Self.limit else { return dropped += 1 }
            slots[count] = (key, value)
            count += 1
        }

        subscript(_ index: Int) -> (key: SpanKey, value: SpanValue) { slots[index] }
    }

    let context: TraceContext
    /// 0 for the first span of a trace.
    let parent: UInt64
    let state: String?
    var name: String
    let kind: SpanKind
    /// Nanoseconds of the monotonic clock.
    let start: UInt64
    var end: UInt64
    var isFailed = false
    var attributes = Attributes()

    init(
        _ context: TraceContext, parent: UInt64, state: String?, name: String, kind: SpanKind, start: UInt64
    ) {
        self.context = context
        self.parent = parent
        self.state = state
        self.name = name
        self.kind = kind
        self.start = start
        end = start
    }
}

/// The value of a span's attribute.
enum SpanValue: Sendable, Hashable {
    case none
    case number(Int)
    case text(String)
    case flag(Bool)
}
