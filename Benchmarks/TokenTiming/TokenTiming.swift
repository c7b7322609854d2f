import Glibc
import Serving

/// Whether the time of a comparison tells how near a guess was: a test in the manner of dudect (Reparaz, Balasch, Verbauwhede,
/// "Dude, is my code constant time?", 2017). Each measure takes two classes of input in random order, cuts off what the machine
/// did beside, and compares the means by Welch's t. Prints |t| for each; exits 1 where one is 4.5 or more.
@main enum TokenTiming {
    /// Samples of each measure.
    private static let samples = 1_000_000
    /// Comparisons that are timed as one sample, since the clock is coarser than one of them.
    private static let repeats = 4
    private static let threshold = 4.5

    static func main() {
        let digests = (0..<16).map { _ in random() }
        let measures: [(String, () -> (Int) -> [UInt8])] = [
            ("nearly right / wrong from the first byte", { nearMisses(digests) }),
            ("the first hash / the last hash", { { $0 == 0 ? digests[0] : digests[15] } }),
            ("a hash that is there / one that is not", { misses(digests) }),
        ]
        var worst = 0.0
        print(
            "measure                                            |t|   (\(samples) samples, suspicious from \(threshold) on)"
        )
        for (name, inputs) in measures {
            let statistic = measure(inputs()) { TokenTable.position(of: $0, in: digests) ?? -1 }
            report(name, statistic, &worst)
        }
        let field = Array("Bearer tmk_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".utf8)
        let statistic = measure(fields(field)) { guess in
            unsafe guess.withUnsafeBytes { left in
                unsafe field.withUnsafeBytes { right in unsafe AccessCache.isSame(left, right) ? 1 : 0 }
            }
        }
        report("a field that differs in its first / in its last byte", statistic, &worst)
        exit(worst < threshold ? 0 : 1)
    }

    private static func report(_ name: String, _ statistic: Double, _ worst: inout Double) {
        worst = max(worst, abs(statistic))
        let words = "\((abs(statistic) * 100).rounded() / 100)"
        print(name + String(repeating: " ", count: max(1, 51 - name.count)) + words)
    }

    // MARK: Inputs

    /// All but the last byte right, or chosen at random. As many of each, so that no cache knows one class better.
    private static func nearMisses(_ digests: [[UInt8]]) -> (Int) -> [UInt8] {
        let near = digests.map { Array($0.dropLast()) + [~($0.last ?? 0)] }
        let far = digests.map { _ in random() }
        return { kind in (kind == 0 ? near : far)[Int.random(in: 0..<16)] }
    }

    private static func misses(_ digests: [[UInt8]]) -> (Int) -> [UInt8] {
        let absent = digests.map { _ in random() }
        return { kind in (kind == 0 ? digests : absent)[Int.random(in: 0..<16)] }
    }

    private static func fields(_ field: [UInt8]) -> (Int) -> [UInt8] {
        var (first, last) = (field, field)
        first[0] ^= 1
        last[field.count - 1] ^= 1
        return { [first, last] kind in kind == 0 ? first : last }
    }

    private static func random() -> [UInt8] { (0..<32).map { _ in UInt8.random(in: .min ... .max) } }

    // MARK: The test

    private static func measure(_ input: (Int) -> [UInt8], _ work: ([UInt8]) -> Int) -> Double {
        var times: [[Double]] = [[], []]
        var sink = 0
        for _ in 0..<samples {
            let kind = Int.random(in: 0...1)
            let bytes = input(kind)
            let start = nanoseconds()
            for _ in 0..<repeats { sink &+= work(bytes) }
            times[kind].append(Double(nanoseconds() - start))
        }
        guard sink != .min else { return .infinity }
        // What was interrupted says nothing about the comparison. One limit for both classes.
        let sorted = (times[0] + times[1]).sorted()
        let limit = sorted[sorted.count * 9 / 10]
        return welch(times[0].filter { $0 <= limit }, times[1].filter { $0 <= limit })
    }

    private static func welch(_ left: [Double], _ right: [Double]) -> Double {
        func moments(_ values: [Double]) -> (mean: Double, error: Double) {
            let mean = values.reduce(0, +) / Double(max(1, values.count))
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, values.count - 1))
            return (mean, variance / Double(max(1, values.count)))
        }
        let (a, b) = (moments(left), moments(right))
        let error = (a.error + b.error).squareRoot()
        return error == 0 ? 0 : (a.mean - b.mean) / error
    }

    private static func nanoseconds() -> Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
