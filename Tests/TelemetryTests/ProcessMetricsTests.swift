import Glibc
import Testing

@testable import Telemetry  // The parsers of /proc are not for other targets.

@Suite struct ProcessMetricsTests {
    private func value(of name: String, on page: String) -> Double? {
        page.split(separator: "\n").first { $0.hasPrefix(name + " ") }.flatMap {
            Double($0.dropFirst(name.count + 1))
        }
    }

    @Test func thePageTellsOfThisProcess() throws {
        let registry = MetricRegistry()
        ProcessMetrics.install(in: registry)
        let page = registry.render(.prometheus)
        #expect(page.contains("# TYPE process_cpu_seconds_total counter\n"))
        #expect(try #require(value(of: MetricName.processCPUSeconds, on: page)) > 0)
        #expect(try #require(value(of: MetricName.processResidentMemoryBytes, on: page)) > 1_000_000)
        #expect(try #require(value(of: MetricName.processMaxFDs, on: page)) >= 16)
        let now = Double(LogLine.now()) / 1_000
        let start = try #require(value(of: MetricName.processStartTimeSeconds, on: page))
        #expect(start <= now + 2 && start > now - 86_400)
    }

    @Test func openDescriptorsAreCounted() throws {
        let registry = MetricRegistry()
        ProcessMetrics.install(in: registry)
        let count = try #require(value(of: MetricName.processOpenFDs, on: registry.render(.prometheus)))
        // Other tests open and close files meanwhile: a hundred of ours stand out.
        let opened = (0..<100).map { _ in unsafe open("/dev/null", O_RDONLY) }
        defer { for file in opened { close(file) } }
        #expect(opened.allSatisfy { $0 >= 0 })
        let more = try #require(value(of: MetricName.processOpenFDs, on: registry.render(.prometheus)))
        #expect(more >= count + 50)
    }

    @Test func aCommandWithBlanksAndBracketsShiftsNoField() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 5 0 777 1000 55 18446744073709551615 0"
        let stat = ProcessMetrics.Stat(parsing: "42 (a) b (c)) \(tail)")
        #expect(stat?.cpuTicks == 150)
        #expect(stat?.startTicks == 777)
        #expect(stat?.residentPages == 55)
    }

    @Test(arguments: ["", ")", "1 (x) S 1", "1 (x) S a b c d e f g h i j k l m n o p q r s t u v"])
    func aStatLineCutShortIsRefused(text: String) {
        #expect(ProcessMetrics.Stat(parsing: text) == nil)
    }

    @Test func bootTimeIsFoundAmongOtherLines() {
        #expect(ProcessMetrics.bootTime(parsing: "cpu 1 2\nbtime 1700000000\nprocesses 5\n") == 1_700_000_000)
        #expect(ProcessMetrics.bootTime(parsing: "cpu 1 2\n") == nil)
    }
}
