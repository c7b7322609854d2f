import ArgumentParser
import FeatureModel
import Glibc
import Synchronization

/// Requests that nobody means, by the million: through the parsers and encoders in this process, and over sockets to a daemon.
@main
struct Fuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fuzz",
        abstract: "Mutated HTTP and JSON requests through the parsers, and over sockets to a daemon; see ops/fuzz.",
        discussion: "Ends with 0 only if every promise held. The same seed makes the same cases.")

    @Option(help: "A file of definitions that requests are about; ops/fuzz gives all of schemas/feast-bench.")
    var definitions: [String]

    @Option(help: "Bodies that go through parser, plan, keys and encoder in this process.")
    var bodies = 50_000

    @Option(help: "Streams of bytes that go through the HTTP decoder with the daemon's limits in this process.")
    var heads = 40_000

    @Option(help: "Requests over sockets; needs --port.")
    var sockets = 0

    @Option(help: "The port of 127.0.0.1 where a daemon with rows of these definitions listens.")
    var port: Int?

    @Option(help: "The daemon's process, whose memory and descriptors are looked at.")
    var pid: Int32?

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: "The most memory in MiB that this process, and the daemon, may ever have.")
    var memory = 512

    @Option(help: "Threads.")
    var threads = 2

    func run() throws {
        let world = try World(definitions)
        print("seed \(seed), \(threads) threads, views \(world.views.map(\.name).joined(separator: " "))")
        var isGood = true
        if bodies > 0 { isGood = report("bodies", bodies) { BodyFuzz(world, seed: $0).run($1) } && isGood }
        if heads > 0 { isGood = report("heads", heads) { HeadFuzz(world, seed: $0).run($1) } && isGood }
        if sockets > 0 {
            guard let port else { throw ValidationError("--sockets needs --port") }
            let witness = try Witness(port: port, pid: pid)
            isGood = report("sockets", sockets) { SocketFuzz(world, port: port, seed: $0).run($1) } && isGood
            for trouble in witness.troubles(memoryLimit: memory) {
                print("FAILED   \(trouble)")
                isGood = false
            }
        }
        let peak = ProcessMemory.read(getpid())?.peak ?? 0
        print("this process never had more than \(peak) MiB")
        if peak > memory {
            print("FAILED   that is over \(memory) MiB")
            isGood = false
        }
        guard isGood else { throw ExitCode(1) }
    }

    /// Runs cases on all threads, one stretch of seeds each, and prints what became of them.
    private func report(_ name: String, _ count: Int, _ body: @escaping @Sendable (UInt64, Int) -> Tally) -> Bool {
        let start = ContinuousClock.now
        let share = (count + threads - 1) / threads
        let tallies = Mutex<[Tally]>([])
        let workers = (0..<threads).map { thread in
            let first = seed &+ UInt64(thread) &* 0x9e37_79b9
            return Worker(body: {
                let tally = body(first, min(share, count - thread * share))
                tallies.withLock { $0.append(tally) }
            })
        }
        for worker in workers { worker.join() }
        let sum = tallies.withLock { $0.reduce(into: Tally()) { $0.add($1) } }
        let elapsed = ContinuousClock.now - start
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        print("\(name): \(sum.cases) cases, \(sum.bytes) bytes, \(Int(seconds.rounded())) s")
        for (word, number) in sum.words.sorted(by: { $0.key < $1.key }) { print("  \(word): \(number)") }
        for failure in sum.failures.prefix(20) { print("FAILED   \(failure)") }
        if sum.cases < count { print("FAILED   only \(sum.cases) of \(count) cases ran to their end") }
        fflush(nil)
        return sum.failures.isEmpty && sum.cases >= count
    }
}

/// What became of cases.
struct Tally: Sendable {
    var cases = 0
    var bytes = 0
    var words: [String: Int] = [:]
    var failures: [String] = []

    mutating func count(_ word: String) { words[word, default: 0] += 1 }

    /// Keeps the first few: a promise that is broken is broken often.
    mutating func fail(_ words: String) {
        if failures.count < 20 { failures.append(words) }
    }

    mutating func add(_ other: Tally) {
        cases += other.cases
        bytes += other.bytes
        words.merge(other.words, uniquingKeysWith: +)
        failures += other.failures
    }
}

/// A thread of its own, since cases never wait for anything but sockets.
final class Worker: Sendable {
    private let thread: Mutex<pthread_t>

    init(body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        // Retained here, released by the thread, which always begins.
        let box = unsafe Unmanaged.passRetained(Box(body)).toOpaque()
        var id = pthread_t()
        let status = unsafe pthread_create(
            &id, nil,
            { box in
                guard let box = unsafe box else { return nil }
                unsafe Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body()
                return nil
            }, box)
        precondition(status == 0, "no thread: errno \(status)")
        thread = Mutex(id)
    }

    func join() { _ = pthread_join(thread.withLock { $0 }, nil) }
}

/// Memory of a process in MiB.
struct ProcessMemory {
    let now: Int
    let peak: Int

    static func read(_ pid: Int32) -> ProcessMemory? {
        guard let file = unsafe fopen("/proc/\(pid)/status", "r") else { return nil }
        defer { unsafe fclose(file) }
        var (now, peak) = (0, 0)
        var line = [CChar](repeating: 0, count: 256)
        while unsafe fgets(&line, 256, file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let kibibytes = Int(text.filter(\.isNumber)) ?? 0
            if text.hasPrefix("VmRSS:") { now = kibibytes / 1_024 }
            if text.hasPrefix("VmHWM:") { peak = kibibytes / 1_024 }
        }
        return ProcessMemory(now: now, peak: peak)
    }
}
