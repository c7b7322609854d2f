import Synchronization

/// Which requests are traced, and the spans of all event loops that wait for their export.
package final class Tracer: Sendable {
    /// Why a span was dropped.
    enum Drop: String, CaseIterable {
        /// Newer ones needed its room: the collector is slower than the spans come.
        case full
        /// The collector could not be reached, or asked for patience too often.
        case unreachable
        /// The collector doesn't want it.
        case refused
        /// The process ended first.
        case shutdown
    }

    /// Nothing is recorded, whatever callers say.
    static let off = UInt64.max
    /// The bits of a trace id that decide, as OpenTelemetry has it: the last seven bytes.
    static let randomBits: UInt64 = (1 << 56) - 1

    /// Whether the caller's word on sampling counts before the ratio.
    let followsParent: Bool
    /// Wakes the exporter before its time. It has one consumer, the exporter.
    let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    private let rejection: Atomic<UInt64>
    private let limit: Int
    private let buffers = Mutex<[SpanBuffer]>([])
    private let drops: [Drop: Counter]

    /// Records nothing, ever.
    package static let none = Tracer(registry: nil, limit: 1, followsParent: true, rejection: Tracer.off)

    /// - Parameters:
    ///   - ratio: The share of new traces that is recorded, `0...1`.
    ///   - followsParent: Whether the caller's word on sampling counts before the ratio.
    ///   - limit: How many spans an event loop keeps for the exporter.
    ///   - registry: Where dropped spans are counted.
    package convenience init(ratio: Double, followsParent: Bool = true, limit: Int = 2_048, registry: MetricRegistry) {
        self.init(
            registry: registry, limit: max(2, limit), followsParent: followsParent, rejection: Self.threshold(ratio))
    }

    private init(registry: MetricRegistry?, limit: Int, followsParent: Bool, rejection: UInt64) {
        self.limit = limit
        self.followsParent = followsParent
        self.rejection = Atomic(rejection)
        (wakes, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        drops =
            registry.map { registry in
                let counters = Drop.allCases.map { ($0, registry.counter(.traceSpansDropped, [$0.rawValue])) }
                return Dictionary(uniqueKeysWithValues: counters)
            } ?? [:]
    }

    /// Of the 2^56 trace ids those from here on are recorded; `off` when nothing is.
    @inline(__always) var threshold: UInt64 { rejection.load(ordering: .relaxed) }

    /// Whether spans are recorded at all.
    package var isOn: Bool { threshold != Self.off }

    /// Changes the share of new traces that is recorded. Traces under way go on. Nothing for a tracer that is off.
    package func setRatio(_ ratio: Double) {
        guard isOn else { return }
        rejection.store(Self.threshold(ratio), ordering: .relaxed)
    }

    private static func threshold(_ ratio: Double) -> UInt64 {
        let share = ratio.isFinite ? min(max(0, ratio), 1) : 0
        return UInt64((1 - share) * Double(randomBits + 1))
    }

    /// A buffer for one event loop, or for callers of any thread. For the life of the tracer, so make few.
    package func makeBuffer() -> SpanBuffer {
        let buffer = SpanBuffer(self, limit: limit, seed: .random(in: 0 ... .max))
        if isOn { buffers.withLock { $0.append(buffer) } }
        return buffer
    }

    // MARK: The exporter

    func dropped(_ reason: Drop, _ count: Int = 1) { drops[reason]?.add(count) }

    func wake() { waker.yield() }

    /// The exporter comes no more.
    func finish() { waker.finish() }

    /// The oldest spans of each buffer, at most `limit` in all.
    func take(_ limit: Int) -> [SpanRecord] {
        let buffers = buffers.withLock { $0 }
        var records: [SpanRecord] = []
        records.reserveCapacity(min(limit, buffers.reduce(0) { $0 + $1.count }))
        // Fair shares first, then what room is left.
        let share = max(1, limit / max(1, buffers.count))
        for buffer in buffers { buffer.take(min(share, limit - records.count), into: &records) }
        for buffer in buffers where records.count < limit { buffer.take(limit - records.count, into: &records) }
        return records
    }

    /// How many spans wait for the exporter.
    package var waiting: Int { buffers.withLock { $0 }.reduce(0) { $0 + $1.count } }
}
