import Synchronization

/// Where spans of one event loop wait for the exporter, in a ring that makes room by dropping the oldest.
///
/// Any thread may use it, but each event loop has its own, so that its lock is free: it is held for one record, or for a few
/// while the exporter takes some. A request that isn't recorded takes no lock and no memory: it is one load and one
/// comparison, and a random number where new traces are recorded by chance.
package final class SpanBuffer: Sendable {
    /// How many records the exporter takes under one lock.
    private static let slice = 64

    private struct Ring {
        /// Empty until the first span.
        var records: [SpanRecord?] = []
        var first = 0
        var count = 0
    }

    private let tracer: Tracer
    private let limit: Int
    private let ring = Mutex(Ring())
    private let random: Atomic<UInt64>

    init(_ tracer: Tracer, limit: Int, seed: UInt64) {
        self.tracer = tracer
        self.limit = limit
        random = Atomic(seed)
    }

    // MARK: Spans

    /// The first span of this process in a trace.
    ///
    /// - Parameters:
    ///   - name: What it is called.
    ///   - kind: Who is on the other side.
    ///   - parent: What the caller said. Whether it records the trace decides here, too.
    ///   - state: The caller's `tracestate`.
    ///   - isRoot: Whether a trace may begin here where the caller knows of none.
    ///   - start: When it began, in nanoseconds of the monotonic clock.
    /// - Returns: `nil` when the request is not recorded.
    @inline(__always)
    package func begin(
        _ name: @autoclosure () -> String, _ kind: SpanKind, parent: TraceContext?,
        state: @autoclosure () -> String? = nil,
        isRoot: Bool = true, at start: UInt64
    ) -> Span? {
        let threshold = tracer.threshold
        guard threshold != Tracer.off else { return nil }
        guard let context = sample(parent, threshold, isRoot: isRoot) else { return nil }
        let state = parent == nil ? nil : state().flatMap(TraceState.accepted)
        return Span(
            SpanRecord(context, parent: parent?.span ?? 0, state: state, name: name(), kind: kind, start: start), self)
    }

    private func sample(_ parent: TraceContext?, _ threshold: UInt64, isRoot: Bool) -> TraceContext? {
        if let parent {
            let isSampled = tracer.followsParent ? parent.isSampled : parent.traceLow & Tracer.randomBits >= threshold
            guard isSampled else { return nil }
            return TraceContext(
                traceHigh: parent.traceHigh, traceLow: parent.traceLow, span: id(),
                flags: parent.flags & TraceContext.randomID | TraceContext.sampled)
        }
        // Nobody: not even the random number is needed.
        guard isRoot, threshold <= Tracer.randomBits else { return nil }
        let low = id()
        guard low & Tracer.randomBits >= threshold else { return nil }
        return TraceContext(
            traceHigh: id(), traceLow: low, span: id(), flags: TraceContext.randomID | TraceContext.sampled)
    }

    func child(of record: SpanRecord, _ name: String, _ kind: SpanKind, at start: UInt64) -> Span {
        let parent = record.context
        let context = TraceContext(
            traceHigh: parent.traceHigh, traceLow: parent.traceLow, span: id(), flags: parent.flags)
        return Span(
            SpanRecord(context, parent: parent.span, state: record.state, name: name, kind: kind, start: start), self)
    }

    /// Never 0. SplitMix64 (Steele, Lea, Flood) from a random start: no id of a buffer comes twice.
    private func id() -> UInt64 {
        while true {
            var mixed = random.wrappingAdd(0x9e37_79b9_7f4a_7c15, ordering: .relaxed).newValue
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            mixed ^= mixed >> 31
            if mixed != 0 { return mixed }
        }
    }

    // MARK: The ring

    func append(_ record: SpanRecord) {
        let (isFull, wakes) = ring.withLock { ring -> (Bool, Bool) in
            if ring.records.isEmpty { ring.records = Array(repeating: nil, count: limit) }
            let isFull = ring.count == limit
            if isFull {
                ring.records[ring.first] = record
                ring.first = (ring.first + 1) % limit
            } else {
                ring.records[(ring.first + ring.count) % limit] = record
                ring.count += 1
            }
            return (isFull, ring.count == limit / 2)
        }
        if isFull { tracer.dropped(.full) }
        if wakes { tracer.wake() }
    }

    /// Takes the oldest spans, at most `limit` of them, to the end of `records`.
    func take(_ limit: Int, into records: inout [SpanRecord]) {
        var left = limit
        while left > 0 {
            let slice = min(left, Self.slice)
            let taken = ring.withLock { ring -> [SpanRecord] in
                var taken: [SpanRecord] = []
                taken.reserveCapacity(min(slice, ring.count))
                while taken.count < slice, ring.count > 0, let record = ring.records[ring.first] {
                    taken.append(record)
                    ring.records[ring.first] = nil
                    ring.first = (ring.first + 1) % ring.records.count
                    ring.count -= 1
                }
                return taken
            }
            records += taken
            left -= taken.count
            if taken.count < slice { return }
        }
    }

    /// How many spans wait.
    var count: Int { ring.withLock { $0.count } }
}
