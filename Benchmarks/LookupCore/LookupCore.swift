import FeatureModel
import NIOCore
import OnlineStore

/// Prints what the lookup core costs without sockets: nanoseconds a value and requests a second on one core.
@main
enum LookupCore {
    static func main() throws {
        let mixes: [(name: String, types: [FeatureType])] = [
            ("int64", [.scalar(.int64)]),
            ("float64, two decimals", [.scalar(.float64)]),
            ("float32", [.scalar(.float32)]),
            ("string", [.scalar(.string)]),
            ("timestamp", [.scalar(.timestamp)]),
            (
                "mixed",
                [.scalar(.int64), .scalar(.float64), .scalar(.int64), .scalar(.float32), .scalar(.string)]
            ),
        ]
        let only = CommandLine.arguments.dropFirst().first
        print(row("types", "entities", "step", "ns/request", "ns/value", "requests/s", "bytes"))
        for mix in mixes where only == nil || only == mix.name {
            for count in [1, 10, 100] { try measure(mix.name, Workload(entities: count, types: mix.types)) }
        }
    }

    private static func measure(_ name: String, _ work: Workload) throws {
        let plan = try LookupPlan(project: "shop", features: work.plan, views: work.views)
        var columns = EntityColumns()
        columns.add("user_id", integers: work.entities)
        let keys = try LookupKeys(plan, columns)
        var rows = PackedRows(count: keys.rowCount)
        var buffer = ByteBuffer()
        let values = work.entities.count * work.plan.count

        func report(_ step: String, _ body: () throws -> Void) rethrows {
            let nanoseconds = try time(body)
            print(
                row(
                    name, "\(work.entities.count)", step, "\(Int(nanoseconds))",
                    "\((nanoseconds / Double(values) * 10).rounded() / 10)", "\(Int(1e9 / nanoseconds))",
                    "\(buffer.readableBytes)"))
        }
        func fill() {
            rows.reset(count: keys.rowCount)
            // As they lie in the buffer of a connection: one behind the other.
            unsafe work.packed.withUnsafeBytes { bytes in
                var start = 0
                for index in work.ends.indices {
                    unsafe rows.set(index, UnsafeRawBufferPointer(rebasing: bytes[start..<work.ends[index]]))
                    start = work.ends[index]
                }
            }
        }
        try report("keys") {
            let keys = try LookupKeys(plan, columns)
            buffer.clear()
            _ = keys.writeMGET(plan, into: &buffer)
        }
        report("rows", fill)
        try report("lookup") {
            fill()
            buffer.clear()
            try LookupEncoder.lookup(plan, keys, &rows, now: Workload.now, ages: false, into: &buffer)
        }
        var options = LookupEncoder.FeastOptions()
        options.versionMetadata = false
        try report("feast") {
            fill()
            buffer.clear()
            try LookupEncoder.feast(
                plan, keys, &rows, entities: columns, now: Workload.now, options: options, into: &buffer)
        }
    }

    /// The best of several rounds of about 20 ms, in nanoseconds a call.
    private static func time(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        var calls = 1
        var best = Double.infinity
        for round in 0..<12 {
            let start = clock.now
            for _ in 0..<calls { try body() }
            let nanoseconds = (clock.now - start) / .nanoseconds(1)
            if round > 2 { best = min(best, nanoseconds / Double(calls)) }
            calls = max(1, min(1 << 22, Int(Double(calls) * 20e6 / max(nanoseconds, 100))))
        }
        return best
    }

    private static func row(_ cells: String...) -> String {
        let widths = [22, 9, 8, 11, 9, 11, 8]
        return zip(cells, widths).map { $0 + String(repeating: " ", count: max(1, $1 - $0.count)) }.joined()
    }
}
