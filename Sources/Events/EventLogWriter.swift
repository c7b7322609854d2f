package import Logging
package import Resilience
import ServiceLifecycle

/// Writes what waits in a log to its sink, a batch at a time, beside the requests.
///
/// A sink that fails is tried again under back-off for as long as the process runs: the log bounds what waits meanwhile, counts what is
/// dropped, and its trouble is logged once, when it begins. On graceful shutdown it writes all that is left, and gives up after
/// `drain`; what is lost then is counted and logged. Put it before whoever adds events in the group, so that it is told last.
package struct EventLogWriter: Service {
    /// Its limits.
    package struct Settings: Sendable {
        /// How long events may wait until they are written, where they are few.
        package var interval = Duration.milliseconds(100)
        /// Events of one write.
        package var batch = 512
        /// Bytes of one write, about.
        package var batchBytes = 1 << 20
        /// The back-off behind a failure.
        package var retries = Backoff.Policy(initial: .milliseconds(100), maximum: .seconds(5))
        /// The longest wait between tries while the process ends.
        package var lastRetry = Duration.milliseconds(100)
        /// How long the last writes may take.
        package var drain = Duration.seconds(10)

        package init() {}
    }

    /// Waiting, so that tests need not.
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

    private let log: EventLog
    private let sink: any EventSink
    private let settings: Settings
    private let clock: Clock
    private let logger: Logger

    /// `log` has one writer and no other.
    package init(
        _ log: EventLog, to sink: any EventSink, _ settings: Settings = Settings(), logger: Logger, clock: Clock = .real
    ) {
        self.log = log
        self.sink = sink
        self.settings = settings
        self.clock = clock
        self.logger = logger
    }

    /// Writes until graceful shutdown or cancellation, and then what is left.
    package func run() async throws {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await tick()
                return false
            }
            group.addTask {
                var trouble = Trouble(backoff: Backoff(settings.retries))
                for await _ in log.wakes { await writeAll(&trouble) }
                await writeAll(&trouble)
                return true
            }
            group.addTask {
                // What is under way then is given up.
                try? await gracefulShutdown()
                try? await clock.sleep(settings.drain)
                return true
            }
            for await isOver in group where isOver { break }
            group.cancelAll()
        }
        await sink.close()
        let lost = log.close()
        guard lost > 0 else { return }
        logger.error(
            "events are lost: their sink did not take them before the end",
            metadata: ["log": "\(log.name)", "sink": "\(sink.place)", "count": "\(lost)"])
    }

    private func tick() async {
        await cancelWhenGracefulShutdown {
            while (try? await clock.sleep(settings.interval)) != nil { log.wake() }
        }
        log.finish()
    }

    /// What is wrong with the sink, if something is.
    private struct Trouble {
        var backoff: Backoff
        var isTold = false
    }

    private func writeAll(_ trouble: inout Trouble) async {
        while !Task.isCancelled {
            let batch = log.take(settings.batch, bytes: settings.batchBytes)
            do throws(EventSinkFailure) {
                if batch.isEmpty { try await sink.settle() } else { try await sink.write(batch) }
                log.wrote(batch.count)
                recovered(&trouble)
                if batch.isEmpty { return }
            } catch {
                log.failed(error.unwritten.map { batch[$0] }, written: batch.count - error.unwritten.count)
                tell(error, &trouble)
                await pause(&trouble)
            }
        }
    }

    private func recovered(_ trouble: inout Trouble) {
        trouble.backoff.succeeded()
        guard trouble.isTold else { return }
        trouble.isTold = false
        logger.info("events are written again", metadata: ["log": "\(log.name)", "sink": "\(sink.place)"])
    }

    private func tell(_ failure: EventSinkFailure, _ trouble: inout Trouble) {
        guard !trouble.isTold else { return }
        trouble.isTold = true
        logger.error(
            "events can't be written; they are tried again",
            metadata: ["log": "\(log.name)", "sink": "\(sink.place)", "reason": "\(failure)"])
    }

    /// Waits before another try; not for long once the process ends.
    private func pause(_ trouble: inout Trouble) async {
        let wait = trouble.backoff.next(random: clock.random())
        if Task.isShuttingDownGracefully {
            try? await clock.sleep(min(wait, settings.lastRetry))
        } else {
            await cancelWhenGracefulShutdown { try? await clock.sleep(wait) }
        }
    }
}
