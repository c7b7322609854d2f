import Foundation
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(2))) struct MetricReferenceTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let promtool = "/usr/bin/promtool"

    @Test func namesAreUniqueAndFollowTheConventions() throws {
        let names = MetricFamily.all.map(\.name)
        #expect(Set(names).count == names.count)
        for family in MetricFamily.all {
            #expect(family.name.wholeMatch(of: /(tidemark|process)_[a-z_]+/) != nil, "\(family.name)")
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            #expect(family.name.hasSuffix("_info") == (family.kind == .info), "\(family.name)")
            #expect(family.kind != .histogram || family.name.hasSuffix("_seconds"), "\(family.name)")
            #expect(family.labels.allSatisfy { $0.wholeMatch(of: /[a-z_]+/) != nil && $0 != "le" }, "\(family.name)")
            #expect(!family.help.isEmpty && family.help.hasSuffix("."), "\(family.name)")
            #expect(family.seriesLimit > 0)
        }
    }

    @Test func everyDeclaredNameIsInTheCatalog() throws {
        let source = try String(
            contentsOf: Self.root.appending(path: "Sources/Telemetry/MetricName.swift"), encoding: .utf8)
        let declared = source.matches(of: /= "([a-z_]+)"/).map { String($0.output.1) }
        #expect(declared.count > 20)
        #expect(Set(declared) == Set(MetricFamily.all.map(\.name)))
    }

    @Test func theCommittedReferenceIsUpToDate() throws {
        let file = Self.root.appending(path: "monitoring/metrics.md")
        if ProcessInfo.processInfo.environment["TIDEMARK_WRITE_GENERATED"] == "1" {
            try MetricReference.markdown().write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == MetricReference.markdown())
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool), "promtool is not installed"))
    func promtoolFindsNothingWrongWithAFullPage() throws {
        let registry = MetricRegistry()
        ProcessMetrics.install(in: registry)
        let metrics = ViewMetrics(view: "user \"activity\"\\\n", registry: registry)
        for gauge in [
            metrics.lagSeconds, metrics.lagRows, metrics.intervalSeconds, metrics.newestEventTimestampSeconds,
            metrics.lastSuccessTimestampSeconds, metrics.quarantineEntries, metrics.leaseHeld,
            metrics.sweepLastCompletedTimestampSeconds, metrics.sweepIntervalSeconds,
            registry.gauge(.breakerState, ["store"]), registry.gauge(.sourceHorizonAgeSeconds, ["shop"]),
            registry.gauge(.httpInFlight), registry.gauge(.httpConnections), registry.gauge(.servingReady),
            registry.gauge(.catalogGeneration), registry.gauge(.catalogAgeSeconds), registry.gauge(.catalogProblems),
            registry.gauge(.admissionLimit), registry.gauge(.admissionInFlight), registry.gauge(.configGeneration),
            registry.gauge(.configWaitsForRestart), registry.gauge(.traceSpansWaiting),
            registry.gauge(.traceSampleRatio), registry.gauge(.certificateExpiryTimestampSeconds, ["serve"]),
            registry.gauge(.modelRefused, ["ranker"]), registry.gauge(.modelLoaded, ["ranker"]),
            registry.gauge(.modelLoadedTimestampSeconds, ["ranker"]), registry.gauge(.eventLogWaiting, ["events"]),
            registry.gauge(.eventLogLimit, ["events"]), registry.gauge(.eventLogFailing, ["events"]),
        ] {
            gauge.set(1)
        }
        for metric in [
            GaugeMetric.recallListNewestEventTimestampSeconds, .recallListItems, .recallListVersion,
            .recallListRefused, .recallBuildTimestampSeconds, .recallBuildDurationSeconds,
        ] {
            registry.gauge(metric, ["popular"]).set(1)
        }
        registry.gauge(.recallBuildRows, ["popular", "used"]).set(1)
        for counter in [
            registry.counter(.retries, ["read"]), registry.counter(.storeErrors, ["unavailable"]),
            registry.counter(.sourceErrors, ["shop", "unavailable"]), registry.counter(.logLinesDropped),
            registry.counter(.seriesRefused, ["x"]), metrics.violations(feature: "f", rule: "min"),
            registry.counter(.lookupValues, ["v", "PRESENT"]), registry.counter(.httpRequests, ["/v1/lookup", "2xx"]),
            registry.counter(.lookupPlansCompiled), registry.counter(.admissionRefusals, ["limit"]),
            registry.counter(.configReloads, ["taken"]), registry.counter(.grpcRequests, ["s/M", "OK"]),
            registry.counter(.adminRequests, ["/admin/v1/status", "ok"]),
            registry.counter(.traceSpansDropped, ["full"]), registry.counter(.traceSpansExported),
            registry.counter(.traceExports, ["ok"]),
            registry.counter(.accessRefusals, ["http", "missing"]), registry.counter(.acceptFailures),
            registry.counter(.connectionsEvicted),
            registry.counter(.recommendRungs, ["home", "recall"]), registry.counter(.recommendRefused, ["too_large"]),
            registry.counter(.recommendLeftOut, ["home", "similar", "late"]),
            registry.counter(.recommendHedges, ["home", "rows", "sent"]), registry.counter(.recommendShared, ["home"]),
            registry.counter(.modelLoads, ["ranker", "taken"]),
            registry.counter(.eventLogWritten, ["events"]), registry.counter(.eventLogDropped, ["events", "full"]),
            registry.counter(.eventLogFailures, ["events"]), registry.counter(.events, ["accepted"]),
        ] {
            counter.add()
        }
        registry.histogram(.lookupDurationSeconds, ["/v1/lookup", "ok"]).observe(seconds: 0.001)
        registry.gauge(.dependencyCalls, ["ranker.ctr"]).set(1)
        registry.gauge(.recommendRemembered, ["home", "policy"]).set(1)
        registry.histogram(.recommendDurationSeconds, ["home", "ranking"]).observe(seconds: 0.001)
        registry.histogram(.stageDurationSeconds, ["home", "rows", "ok"]).observe(seconds: 0.001)
        registry.setInfo(.config, ["abc"])
        registry.setInfo(.build, ["0.1.0"])
        let page = registry.render(.prometheus)
        for family in MetricFamily.all { #expect(page.contains("# TYPE \(family.name) "), "\(family.name)") }

        let (status, output) = try run(Self.promtool, ["check", "metrics"], input: page)
        #expect(status == 0 && output.isEmpty, "\(output)")
        let (broken, _) = try run(Self.promtool, ["check", "metrics"], input: page + "1nonsense{\n")
        #expect(broken != 0, "the check must be able to fail")
    }

    private func run(_ path: String, _ arguments: [String], input: String) throws -> (Int32, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let file = FileManager.default.temporaryDirectory.appending(path: "page-\(UUID().uuidString)")
        try input.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        process.standardInput = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
