package import Logging
import NIOCore
import ServiceLifecycle

/// Sends spans to a collector, in batches, beside the requests and without a word to them.
///
/// While the collector can't be reached spans wait in the buffers of their loops, which drop the oldest when they are full; one
/// batch is on its way at a time. So memory is bounded whatever the collector does, and what is lost is counted in
/// `tidemark_trace_spans_dropped_total`.
///
/// On graceful shutdown it sends what is left, within `TraceSettings.flush`. Put it before what makes spans in the group, so that
/// it is told last.
package struct TraceExporter: Service {
    private let tracer: Tracer
    private let settings: TraceSettings
    private let logger: Logger
    private let clock: Clock
    private let exported: Counter
    private let exports: [String: Counter]

    /// Waiting as the exporter does it, so that tests need not.
    package struct Clock: Sendable {
        /// Waits; throws `CancellationError` when cancelled.
        package let sleep: @Sendable (Duration) async throws -> Void
        /// Uniform in `0..<1`, for jitter.
        package let random: @Sendable () -> Double

        package init(
            sleep: @escaping @Sendable (Duration) async throws -> Void, random: @escaping @Sendable () -> Double
        ) {
            self.sleep = sleep
            self.random = random
        }

        /// The machine's clock.
        package static let real = Clock(
            sleep: { try await Task.sleep(for: $0, tolerance: $0 / 10) }, random: { .random(in: 0..<1) })
    }

    /// `tracer` has one exporter and no other.
    package init(
        _ tracer: Tracer, _ settings: TraceSettings, registry: MetricRegistry, logger: Logger, clock: Clock = .real
    ) {
        self.tracer = tracer
        self.settings = settings
        self.logger = logger
        self.clock = clock
        exported = registry.counter(.traceSpansExported)
        exports = Dictionary(
            uniqueKeysWithValues: ["ok", "retried", "failed"].map { ($0, registry.counter(.traceExports, [$0])) })
        let waiting = registry.gauge(.traceSpansWaiting)
        registry.addCollector { waiting.set(Double(tracer.waiting)) }
    }

    /// Exports until graceful shutdown or cancellation, and then what is left.
    package func run() async throws {
        let client = OTLPClient(settings)
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await tick()
                return false
            }
            group.addTask {
                await export(client)
                return true
            }
            group.addTask {
                // The last word: what is under way then is given up.
                try? await gracefulShutdown()
                try? await clock.sleep(settings.flush)
                return true
            }
            for await isOver in group where isOver { break }
            group.cancelAll()
        }
        tracer.dropped(.shutdown, tracer.waiting)
        await client.close()
    }

    private func tick() async {
        await cancelWhenGracefulShutdown {
            while (try? await clock.sleep(settings.interval)) != nil { tracer.wake() }
        }
        // Ends the exporter's loop behind what it has in hand.
        tracer.finish()
    }

    private func export(_ client: OTLPClient) async {
        var isTroubled = false
        for await _ in tracer.wakes { await exportAll(client, &isTroubled) }
        await exportAll(client, &isTroubled)
    }

    private func exportAll(_ client: OTLPClient, _ isTroubled: inout Bool) async {
        while true {
            let records = tracer.take(settings.batch)
            guard !records.isEmpty else { return }
            let isSent = await send(records, client, &isTroubled)
            // The rest waits for its own turn, and what is not worth a request for others to go with.
            if records.count < settings.batch || (!isSent && Task.isCancelled) { return }
        }
    }

    private func send(_ records: [SpanRecord], _ client: OTLPClient, _ isTroubled: inout Bool) async -> Bool {
        let body = OTLPTraces(
            records, resource: settings.resource, version: settings.version, wall: MonotonicTime.untilWall()
        ).bytes
        var tries = 0
        while true {
            tries += 1
            let outcome = await client.post(body)
            switch outcome {
            case .accepted(let rejected):
                exports["ok"]?.add()
                tracer.dropped(.refused, min(rejected, records.count))
                exported.add(records.count - min(rejected, records.count))
                tell(nil, &isTroubled)
                return true
            case .refused(let words):
                exports["failed"]?.add()
                tracer.dropped(.refused, records.count)
                tell(words, &isTroubled)
                return false
            case .later(let words, let patience):
                if Task.isCancelled {
                    tracer.dropped(.shutdown, records.count)
                    return false
                }
                tell(words, &isTroubled)
                // The process ends: there is no time for another try.
                guard tries < settings.attempts, !Task.isShuttingDownGracefully else {
                    exports["failed"]?.add()
                    tracer.dropped(.unreachable, records.count)
                    return false
                }
                exports["retried"]?.add()
                await pause(tries, patience)
            }
        }
    }

    /// Waits before another try, but not while the process ends.
    private func pause(_ tries: Int, _ patience: Duration?) async {
        let doubled = settings.firstRetry * (1 << min(tries - 1, 16))
        let jittered = doubled * (0.5 + clock.random() / 2)
        let wait = min(patience ?? jittered, settings.longestRetry)
        await cancelWhenGracefulShutdown { try? await clock.sleep(wait) }
    }

    /// Logs when the trouble begins and when it ends.
    private func tell(_ trouble: String?, _ isTroubled: inout Bool) {
        guard (trouble != nil) != isTroubled else { return }
        isTroubled = trouble != nil
        if let trouble {
            logger.warning(
                "traces can't be exported",
                metadata: ["endpoint": "\(Self.shown(settings.endpoint))", "reason": "\(trouble)"])
        } else {
            logger.info("traces are exported again")
        }
    }

    /// A URL without what may be a secret in it: what stands before `@`, and the query.
    static func shown(_ url: String) -> String {
        let plain = url.prefix { $0 != "?" }
        guard let at = plain.lastIndex(of: "@"), let scheme = plain.firstRange(of: "://") else { return String(plain) }
        return String(plain[..<scheme.upperBound] + plain[plain.index(after: at)...])
    }
}
