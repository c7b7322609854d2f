import Glibc
import Resilience
import TidemarkTesting

/// A server of `workers` with a queue (M/M/k) behind a limiter, on a clock of its own: what the limiter decides has the
/// effect it would have, and a seed repeats it exactly.
final class ServerModel {
    /// What became of the requests of a span of time.
    struct Tally {
        var offered = 0
        var refused = 0
        /// Answered within the deadline.
        var good = 0
        var late = 0
        var seconds = 0.0
        var goodRate: Double { Double(good) / seconds }
    }

    var workers = 2
    /// The mean time one request takes one worker, in seconds.
    var service = 0.001
    /// Every request takes this long and no worker, in seconds; 0 for none.
    var fixedDelay = 0.0
    /// In seconds.
    var deadline = 0.05
    /// What requests come over the limiter's head as, by chance; they are answered at once.
    var ignoredShare = 0.0

    private(set) var now = 0.0
    private var limiter: ConcurrencyLimiter
    private var generator: SeededGenerator
    /// Waiting for a worker, oldest first, from `head` on.
    private var queue: [(permit: ConcurrencyLimiter.Permit, arrived: Double)] = []
    private var head = 0
    private var busy: [(ends: Double, permit: ConcurrencyLimiter.Permit, arrived: Double)] = []

    init(_ configuration: ConcurrencyLimiter.Configuration = .init(), seed: UInt64) {
        limiter = ConcurrencyLimiter(configuration, at: 0)
        generator = SeededGenerator(seed: seed)
    }

    var limit: Int { limiter.limit }
    var inFlight: Int { limiter.inFlight }
    var strays: Int { limiter.strays }
    var baseline: Double? { limiter.baseline.map { $0 / 1e9 } }
    /// What it can answer in a second.
    var capacity: Double { fixedDelay > 0 ? .infinity : Double(workers) / service }

    func configure(_ configuration: ConcurrencyLimiter.Configuration) { limiter.configure(configuration) }

    /// Offers `rate` requests a second at random for some seconds.
    func run(_ seconds: Double, rate: Double) -> Tally {
        var tally = Tally(seconds: seconds)
        let end = now + seconds
        var arrival = now + exponential(1 / rate)
        while true {
            let departure = busy.indices.min { busy[$0].ends < busy[$1].ends }
            if let departure, busy[departure].ends <= min(arrival, end) {
                now = busy[departure].ends
                depart(departure, &tally)
            } else if arrival <= end {
                now = arrival
                arrive(&tally)
                arrival = now + exponential(1 / rate)
            } else {
                now = end
                return tally
            }
        }
    }

    /// Lets everything under way end.
    func drain() {
        var tally = Tally()
        while let next = busy.indices.min(by: { busy[$0].ends < busy[$1].ends }) {
            now = busy[next].ends
            depart(next, &tally)
        }
    }

    private var nanoseconds: UInt64 { UInt64(now * 1e9) }

    private func arrive(_ tally: inout Tally) {
        tally.offered += 1
        guard let permit = limiter.acquire(at: nanoseconds) else {
            tally.refused += 1
            return
        }
        if ignoredShare > 0, generator.chance(ignoredShare) {
            return limiter.finished(permit, .ignored, at: nanoseconds)
        }
        queue.append((permit, now))
        serve()
    }

    private func depart(_ index: Int, _ tally: inout Tally) {
        let done = busy.remove(at: index)
        let isGood = done.ends - done.arrived <= deadline
        if isGood { tally.good += 1 } else { tally.late += 1 }
        limiter.finished(done.permit, isGood ? .success : .late, at: nanoseconds)
        serve()
    }

    private func serve() {
        while head < queue.count, fixedDelay > 0 || busy.count < workers {
            let (permit, arrived) = queue[head]
            head += 1
            busy.append((now + (fixedDelay > 0 ? fixedDelay : exponential(service)), permit, arrived))
        }
        if head > 4_096 {
            queue.removeFirst(head)
            head = 0
        }
    }

    private func exponential(_ mean: Double) -> Double {
        -mean * log(1 - generator.fraction())
    }
}
