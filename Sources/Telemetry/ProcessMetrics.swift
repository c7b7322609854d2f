import Glibc

/// What the kernel says of this process, under the names every Prometheus client uses.
package struct ProcessMetrics: Sendable {
    private let cpu: Gauge
    private let resident: Gauge
    private let open: Gauge
    private let limit: Gauge
    private let start: Gauge

    /// Adds the metrics to a registry, which reads them at each rendering.
    package static func install(in registry: MetricRegistry) {
        let metrics = ProcessMetrics(registry: registry)
        registry.addCollector { metrics.collect() }
    }

    private init(registry: MetricRegistry) {
        cpu = registry.fractional(.processCPUSeconds)
        resident = registry.gauge(.processResidentMemoryBytes)
        open = registry.gauge(.processOpenFDs)
        limit = registry.gauge(.processMaxFDs)
        start = registry.gauge(.processStartTimeSeconds)
    }

    /// What can't be read is left out.
    private func collect() {
        if let stat = Self.read("/proc/self/stat").flatMap(Stat.init(parsing:)) {
            let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
            cpu.set(Double(stat.cpuTicks) / ticks)
            resident.set(Double(stat.residentPages) * Double(sysconf(Int32(_SC_PAGESIZE))))
            // The start doesn't move, and /proc/stat is long on a large machine.
            if start.value == nil, let boot = Self.read("/proc/stat").flatMap(Self.bootTime(parsing:)) {
                start.set(Double(boot) + Double(stat.startTicks) / ticks)
            }
        }
        if let count = Self.openDescriptors { open.set(Double(count)) }
        if let limits = Self.descriptorLimits { limit.set(Double(limits.rlim_cur)) }
    }

    /// How many descriptors are in use; `nil` where that can't be read.
    package static var openDescriptors: Int? { entries(of: "/proc/self/fd") }

    private static var descriptorLimits: rlimit? {
        var limits = rlimit()
        return unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 ? limits : nil
    }

    /// Lets this process have as many descriptors as it may give itself, and returns how many that are. What a shell or a container
    /// gives at first is often 1,024, for programs that use select(2), which nothing here does.
    package static func raiseDescriptorLimit() -> Int {
        guard var limits = descriptorLimits else { return 1_024 }
        let first = limits.rlim_cur
        limits.rlim_cur = limits.rlim_max
        let isRaised = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0
        return Int(clamping: isRaised ? limits.rlim_cur : first)
    }

    /// The fields of `/proc/self/stat` that are used here, as proc(5) numbers them.
    struct Stat: Equatable {
        let cpuTicks: UInt64
        let startTicks: UInt64
        let residentPages: UInt64

        /// The command, field 2, may itself have blanks and brackets: what counts comes after the last closing one.
        init?(parsing text: String) {
            guard let bracket = text.lastIndex(of: ")") else { return nil }
            let fields = text[text.index(after: bracket)...].split(whereSeparator: { $0 == " " || $0 == "\n" })
            guard fields.count > 21, let user = UInt64(fields[11]), let system = UInt64(fields[12]),
                let start = UInt64(fields[19]), let resident = UInt64(fields[21])
            else { return nil }
            cpuTicks = user &+ system
            startTicks = start
            residentPages = resident
        }
    }

    /// Seconds since 1970 at which the machine started, from `/proc/stat`.
    static func bootTime(parsing text: String) -> UInt64? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { UInt64($0.dropFirst(6)) }
    }

    /// A small file of `/proc`, at most 1 MiB of it.
    private static func read(_ path: String) -> String? {
        let file = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while content.count < 1 << 20 {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
            guard count > 0 else { return count == 0 ? String(decoding: content, as: UTF8.self) : nil }
            content += chunk[..<count]
        }
        return String(decoding: content, as: UTF8.self)
    }

    /// How many entries a directory has, without the descriptor that counts them.
    private static func entries(of path: String) -> Int? {
        guard let directory = unsafe opendir(path) else { return nil }
        defer { unsafe closedir(directory) }
        var count = 0
        while unsafe readdir(directory) != nil { count += 1 }
        return max(0, count - 3)
    }
}
