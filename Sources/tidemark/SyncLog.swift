import FeatureModel
import Logging
import OnlineStore
import Sync
import Telemetry

/// Turns what the engine tells into log lines: a line a run that did something, a line a trouble.
struct SyncLog: SyncObserver {
    let logger: Logger

    func observe(_ event: SyncEvent) {
        switch event {
        case .finished(let entry): finished(entry)
        case .retrying(let view, let after, let error):
            logger.warning(
                "a call failed and is tried again",
                metadata: ["view": "\(view)", "after": "\(after.spelling)", "error": "\(error)"])
        case .breached(let view, let text):
            logger.error("a contract is in breach", metadata: ["view": "\(view)", "breach": "\(text)"])
        case .historyBroke(let view, let version, let text):
            logger.error(
                "the source's history broke; loading anew",
                metadata: ["view": "\(view)", "version": "\(version)", "what": "\(text)"])
        case .activated(let view, let version):
            logger.notice("a version is read from now on", metadata: ["view": "\(view)", "version": "\(version)"])
        case .leaseLost(let view): logger.warning("a lease was lost", metadata: ["view": "\(view)"])
        case .sweepFinished(let view, let version, let counts):
            logger.info(
                "a sweep came around",
                metadata: [
                    "view": "\(view)", "version": "\(version)", "checked": "\(counts.checked)",
                    "missing": "\(counts.missing)", "different": "\(counts.different)",
                    "orphaned": "\(counts.orphaned)", "quarantined": "\(counts.quarantined)",
                ])
        case .violations(let view, let feature, let rule, let count):
            logger.warning(
                "rows broke a rule",
                metadata: ["view": "\(view)", "feature": "\(feature)", "rule": "\(rule)", "rows": "\(count)"])
        case .lag, .horizon, .lease, .progress, .quarantineSize, .newestEvent, .succeeded, .breaker, .storeFailed,
            .sourceFailed:
            break
        }
    }

    private func finished(_ entry: LedgerEntry) {
        let metadata: Logger.Metadata = [
            "view": "\(entry.view)", "version": "\(entry.version)", "outcome": "\(entry.outcome)",
            "work": "\(entry.work.map(\.rawValue).joined(separator: "+"))", "from": "\(entry.from)",
            "to": "\(entry.to)", "read": "\(entry.read)", "written": "\(entry.written)",
            "renewed": "\(entry.renewed)", "quarantined": "\(entry.quarantined)", "bytes": "\(entry.bytes)",
            "seconds": "\(entry.durationSeconds)", "error": "\(entry.error ?? "")",
        ]
        if entry.outcome != "done" {
            logger.error("a run ended early", metadata: metadata)
        } else if entry.read > 0 || entry.removed > 0 {
            logger.info("a run ended", metadata: metadata)
        } else {
            logger.debug("nothing to sync", metadata: metadata)
        }
    }
}

/// How the process logs.
enum ProcessLog {
    static func makeLogger(_ config: TelemetryConfig, _ registry: MetricRegistry) -> Logger {
        makeLogger(makeSink(config, registry))
    }

    static func makeLogger(_ sink: LogSink) -> Logger {
        Logger(label: "tidemark") { LineLogHandler(label: $0, sink: sink) }
    }

    /// Where the process logs to; its level may be changed while it runs.
    static func makeSink(_ config: TelemetryConfig, _ registry: MetricRegistry) -> LogSink {
        LogSink(
            descriptor: 2, format: LogFormat(rawValue: config.logFormat.rawValue) ?? .json,
            level: level(config), dropped: registry.counter(.logLinesDropped))
    }

    /// The level that a config asks for.
    static func level(_ config: TelemetryConfig) -> Logger.Level {
        Logger.Level(rawValue: config.logLevel.rawValue) ?? .info
    }
}
