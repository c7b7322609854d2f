import NIOCore

/// What became of a request.
enum Fate: String, CaseIterable {
    /// 200, every value there.
    case whole
    /// 200, and rows that the store doesn't have.
    case missing
    /// 200 with values that say that they failed.
    case degraded
    /// 503.
    case refused
    /// Another status.
    case other
    /// The connection ended before the answer.
    case broken
    /// No connection was free within a tenth of its time, so it was never sent.
    case unsent
    /// No answer at all.
    case unanswered
}

/// A part of a run.
struct Phase {
    private static let binLength = TimeAmount.milliseconds(10)
    /// As long must all be well for the daemon to count as recovered.
    private static let calmBins = 50

    let name: String
    let began: NIODeadline
    private var ended: NIODeadline?
    private let deadline: TimeAmount
    private var fates = [Int](repeating: 0, count: Fate.allCases.count)
    private var statuses: [Int: Int] = [:]
    private var wrong = 0
    private var kinds: [String: Int] = [:]
    /// An answer that was wrong, for whoever looks for why.
    private var firstWrong: String?
    private var good = 0
    private var breaks: (first: Int64, last: Int64)?
    /// Microseconds from when a request was due, and from when it was sent, to its answer.
    private var fromDue: [UInt32] = []
    private var fromSent: [UInt32] = []
    private var refusals: [UInt32] = []
    /// Answers without and with failure by when they were due.
    private var bins: [(well: Int32, ill: Int32)] = []

    init(_ name: String, at now: NIODeadline, deadline: TimeAmount) {
        self.name = name
        began = now
        self.deadline = deadline
    }

    mutating func end(at now: NIODeadline) {
        if ended == nil { ended = now }
    }

    /// An answer came.
    mutating func answered(
        _ verdict: Verdict, status: Int, due: NIODeadline, sent: NIODeadline, now: NIODeadline
    ) {
        let fate = verdict.fate
        count(fate, due: due, now: now)
        statuses[status, default: 0] += 1
        if let kind = verdict.kind { kinds[kind, default: 0] += 1 }
        if verdict.isWrong {
            wrong += 1
            firstWrong = firstWrong ?? verdict.kind
        }
        let late = Self.microseconds(now - due)
        fromDue.append(late)
        fromSent.append(Self.microseconds(now - sent))
        if fate == .refused { refusals.append(Self.microseconds(now - sent)) }
        if fate == .whole || fate == .missing, now - due <= deadline { good += 1 }
    }

    /// A request ended without an answer.
    mutating func count(_ fate: Fate, due: NIODeadline, now: NIODeadline) {
        fates[Fate.allCases.firstIndex(of: fate) ?? 0] += 1
        if fate == .broken {
            let at = (now - began).nanoseconds / 1_000_000
            breaks = (breaks?.first ?? at, at)
        }
        let bin = Int(max(0, (due - began).nanoseconds) / Self.binLength.nanoseconds)
        while bins.count <= bin { bins.append((0, 0)) }
        if fate == .whole || fate == .missing { bins[bin].well += 1 } else { bins[bin].ill += 1 }
    }

    private static func microseconds(_ time: TimeAmount) -> UInt32 {
        UInt32(clamping: max(0, time.nanoseconds) / 1_000)
    }

    /// Milliseconds until the first moment from which for half a second 99 of 100 requests were answered without a failure.
    private var recovery: Double? {
        guard bins.count > Self.calmBins else { return nil }
        var (well, ill) = (0, 0)
        for index in bins.indices {
            well += Int(bins[index].well)
            ill += Int(bins[index].ill)
            guard index >= Self.calmBins else { continue }
            well -= Int(bins[index - Self.calmBins].well)
            ill -= Int(bins[index - Self.calmBins].ill)
            let first = index - Self.calmBins + 1
            if bins[first].ill == 0, well > 0, Double(ill) <= Double(well + ill) * 0.01 {
                return Double(first) * Double(Self.binLength.nanoseconds) / 1e6
            }
        }
        return nil
    }

    /// The phase in numbers.
    func summary() -> Summary {
        let length = Double(((ended ?? began) - began).nanoseconds) / 1e9
        return Summary(
            name: name, seconds: length, requests: fates.reduce(0, +),
            fates: Dictionary(uniqueKeysWithValues: zip(Fate.allCases.map(\.rawValue), fates)),
            statuses: Dictionary(uniqueKeysWithValues: statuses.map { ("\($0)", $1) }), wrong: wrong,
            firstWrong: firstWrong, kinds: kinds,
            goodput: length > 0 ? Double(good) / length : 0, fromDue: Percentiles(fromDue),
            fromSent: Percentiles(fromSent), refusals: Percentiles(refusals), recoveryMilliseconds: recovery,
            firstBreakMilliseconds: breaks.map { Int($0.first) }, lastBreakMilliseconds: breaks.map { Int($0.last) })
    }
}

/// A phase as it is printed.
struct Summary: Encodable, Sendable {
    let name: String
    let seconds: Double
    let requests: Int
    let fates: [String: Int]
    let statuses: [String: Int]
    let wrong: Int
    let firstWrong: String?
    let kinds: [String: Int]
    /// Whole and timely answers a second.
    let goodput: Double
    let fromDue: Percentiles
    let fromSent: Percentiles
    let refusals: Percentiles
    let recoveryMilliseconds: Double?
    let firstBreakMilliseconds: Int?
    let lastBreakMilliseconds: Int?
}

/// Milliseconds below which that share of the answers came.
struct Percentiles: Encodable, Sendable {
    let p50: Double
    let p99: Double
    let p999: Double
    let max: Double

    init(_ microseconds: [UInt32]) {
        let sorted = microseconds.sorted()
        func at(_ share: Double) -> Double {
            guard !sorted.isEmpty else { return 0 }
            let place = Int((Double(sorted.count) * share).rounded(.up)) - 1
            return Double(sorted[Swift.min(Swift.max(0, place), sorted.count - 1)]) / 1_000
        }
        (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), at(1))
    }
}
