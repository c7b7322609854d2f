import ArgumentParser
import FoundationEssentials
import NIOCore
import NIOPosix

struct AskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask",
        abstract: "Asks for rows, checks every value, and prints what became of the requests as JSON.",
        discussion: """
            Expects views load_0, load_1, … with features f0, f1, … for the key `id`, and the value id × 1000 + view × 100 + \
            feature in each. With --rate requests are due at a fixed pace, whatever becomes of earlier ones, and times count \
            from when they were due (open loop); without, each connection asks again when it has its answer (closed loop).

            A line `phase NAME` on standard input begins another phase; each is counted by itself, by when its requests \
            were due. The end of the input or --seconds ends the run.

            With --requests it sends what stands in a file instead, a line of JSON each: {"tag": "home", "steps": [{"path": \
            "/v1/recommend", "body": "…"}]}. Steps follow each other on one connection, and the time of a line is that of all. \
            The last answer is checked if it is one of /v1/recommend: no item twice, none of --forbidden, the rung that goes \
            with what it names as left out.
            """)

    @Option(help: "The port of 127.0.0.1 where the daemon listens.")
    var port: Int

    @Option(help: "Requests a second; 0 for as many as there are answers.")
    var rate = 0.0

    @Option(help: "Connections.")
    var connections = 64

    @Option(help: "Milliseconds that the daemon is given for each request.")
    var deadline = 50

    @Option(help: "How often a request that was refused with 503 is sent again, at once.")
    var retries = 0

    @Option(help: "Entities a request, of 1 to --last, by chance.")
    var entities = 1

    @Option(help: "The largest id.")
    var last = 20_000

    @Option(help: "Views.")
    var views = 3

    @Option(help: "Features of each view.")
    var features = 10

    @Option(help: "A file of requests.")
    var requests: String?

    @Option(help: "A file of ids, one a line, that no answer of /v1/recommend may have.")
    var forbidden: String?

    @Option(help: "Of the entities asked for.")
    var seed: UInt64 = 1

    @Option(help: "Ends the run by itself after so many seconds.")
    var seconds: Double?

    func validate() throws {
        guard (1...65_535).contains(port), (0...1_000_000).contains(rate), (1...20_000).contains(connections),
            (1...60_000).contains(deadline), (0...10).contains(retries), (1...10_000).contains(entities),
            (1...10_000_000).contains(last),
            (1...10).contains(views), (1...100).contains(features), (seconds ?? 1) > 0, (seconds ?? 1) < 86_400
        else { throw ValidationError("a number is out of its range") }
    }

    private func requestSet() throws -> any RequestSet {
        guard let requests else {
            return Requests(
                entities: entities, last: last, views: views, features: features, deadline: deadline, seed: seed)
        }
        return try PreparedRequests(file: requests, forbidden: forbidden, deadline: deadline)
    }

    func run() throws {
        let plan = LoadPlan(
            port: port, interval: rate > 0 ? TimeAmount.nanoseconds(Int64(1e9 / rate)) : nil, connections: connections,
            deadline: .milliseconds(Int64(deadline)), retries: retries,
            requests: try requestSet())
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let generator = try loop.submit { NIOLoopBound(Generator(plan, eventLoop: loop), eventLoop: loop) }.wait()
        try loop.flatSubmit { generator.value.connect() }.wait()
        say("asking")
        try loop.submit { generator.value.begin(phase: "start") }.wait()
        if let seconds {
            try loop.scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) {}.futureResult.wait()
        } else {
            while let line = readLine() {
                guard line.hasPrefix("phase ") else { throw Failure("unknown: \(line)") }
                let name = String(line.dropFirst(6))
                try loop.submit { generator.value.begin(phase: name) }.wait()
                say("ok \(line)")
            }
        }
        let phases = try loop.flatSubmit { generator.value.end() }.wait()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        say(String(decoding: try encoder.encode(phases), as: UTF8.self))
        try group.syncShutdownGracefully()
    }
}
