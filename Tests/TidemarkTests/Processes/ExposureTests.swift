import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import ServingProtos
import SwiftProtobuf
import Synchronization
import Testing
import TidemarkTesting

/// Exposures and events of `tidemark serve` as a process: what was answered is in the file, however the daemon ends.
@Suite(
    .enabled(if: DaemonProcess.tidemark != nil, "the tidemark binary is not built"), .timeLimit(.minutes(5)))
struct ExposureTests {
    private static let config = """
        project: lab
        schemas: definitions
        online_store: {url: "sqlite:store.db"}
        sources: {shop: {url: "sqlite:shop.db"}}
        recall:
          lists:
            popular: {kind: popularity, from: shop, query: SELECT * FROM events, item: item, time: {column: ts, unit: ms}}
        pipelines:
          home: {user: user, item: item, k: 5, recall: {popular: {list: popular}}, fallback: popular}
        serve: {unready: 150ms, drain: 2s}
        telemetry: {log_format: json}
        """

    /// A project without rows, whose last rung has items.
    private func withShop(_ sections: String, _ body: (Workdir) async throws -> Void) async throws {
        try await Places.shared.with {
            try await Workdir.with { workdir in
                try await EventLab.write(to: workdir, config: "\(Self.config)\n\(sections)\n", events: 500)
                let build = try await run(["recall", "build"], workdir).ending()
                try #require(build.code == 0, "\(build.story)")
                try await body(workdir)
            }
        }
    }

    private func run(_ arguments: [String], _ workdir: Workdir) throws -> DaemonProcess {
        try DaemonProcess(
            try #require(DaemonProcess.tidemark), arguments + ["--config", workdir.file("tidemark.yaml")])
    }

    private func serve(_ workdir: Workdir) async throws -> (DaemonProcess, port: Int) {
        let daemon = try run(["serve", "--http", "127.0.0.1:0"], workdir)
        try #require(await daemon.hasSaid("the serving daemon listens"), "\(daemon.errorText)")
        let start = try #require(daemon.errorText.range(of: "127.0.0.1:"))
        return (daemon, try #require(Int(daemon.errorText[start.upperBound...].prefix { $0.isNumber })))
    }

    /// What is answered to one client after the other's fashion: by id of request or event.
    private final class Book: Sendable {
        struct Pages {
            var recommended: Set<String> = []
            var accepted: Set<String> = []
            /// Whose answer never came.
            var unknown: Set<String> = []
        }

        let pages = Mutex(Pages())
        /// Whether the daemon was told to end.
        let isTold = Atomic(false)
        var count: Int { pages.withLock { $0.recommended.count + $0.accepted.count } }
    }

    /// Asks for recommendations and posts events, one after the other, until nobody answers.
    private func visit(_ port: Int, _ name: String, _ book: Book, then: (Int) -> Void) async {
        var number = 0
        while let client = await connect(port) {
            var isKept = true
            while isKept {
                number += 1
                let (id, isEvent) = ("\(name)-\(number)", number.isMultiple(of: 3))
                let body =
                    isEvent
                    ? "{\"id\":\"\(id)\",\"type\":\"view\",\"entity\":{\"user_id\":1},\"item\":\(number)}"
                    : "{\"pipeline\":\"home\",\"entity\":{\"user_id\":\(number)}}"
                guard
                    let answer = try? await client.ask(
                        "POST", isEvent ? "/v1/events" : "/v1/recommend", body, headers: ["x-request-id: \(id)"])
                else {
                    book.pages.withLock { _ = $0.unknown.insert(id) }
                    break
                }
                #expect(answer.status == (isEvent ? 202 : 200), "\(answer)")
                book.pages.withLock { pages in
                    if isEvent { _ = pages.accepted.insert(id) } else { _ = pages.recommended.insert(id) }
                }
                isKept = answer.headers["connection"] != "close"
                then(book.count)
            }
            client.close()
        }
    }

    /// Waits on a thread that may: the last tries are left without an answer for a second.
    private func connect(_ port: Int) async -> RawClient? {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: try? RawClient(port: port)) }
        }
    }

    private func lines(_ workdir: Workdir, _ name: String) throws -> [[String: Any]] {
        let text = try String(contentsOfFile: workdir.file(name), encoding: .utf8)
        #expect(text.hasSuffix("\n"))
        return try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
    }

    private static let files = "exposures: {file: {path: exposures.jsonl}}\nevents: {file: {path: events.jsonl}}"

    @Test func nothingThatWasAnsweredIsLostWhenItIsTold() async throws {
        try await withShop(Self.files) { workdir in
            let (daemon, port) = try await serve(workdir)
            let book = Book()
            await withTaskGroup(of: Void.self) { tasks in
                for client in 0..<8 {
                    tasks.addTask {
                        await visit(port, "c\(client)", book) { count in
                            guard count >= 600, !book.isTold.exchange(true, ordering: .relaxed) else { return }
                            daemon.terminate()
                        }
                    }
                }
            }
            let ending = await daemon.ending(within: .seconds(30))
            #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
            let pages = book.pages.withLock { $0 }
            let exposures = try lines(workdir, "exposures.jsonl")
            let logged = exposures.compactMap { $0["request_id"] as? String }
            #expect(logged.count == exposures.count && Set(logged).count == logged.count)
            #expect(pages.recommended.isSubset(of: logged) && pages.recommended.count > 300)
            #expect(Set(logged).subtracting(pages.recommended).isSubset(of: pages.unknown))
            let events = try lines(workdir, "events.jsonl").compactMap { $0["id"] as? String }
            #expect(pages.accepted.isSubset(of: events) && Set(events).count == events.count)
            #expect(Set(events).subtracting(pages.accepted).isSubset(of: pages.unknown))
            let first = try #require(exposures.first)
            #expect(first["pipeline"] as? String == "home" && first["rung"] as? String == "popularity")
            #expect(first["model"] is NSNull && (first["items"] as? [[String: Any]])?.count == 5)
            #expect(((first["degraded"] as? [String: Any])?["catalog"]) != nil, "\(first)")
            #expect((first["entity"] as? [String: Any])?["user_id"] != nil && first["time"] is String)
        }
    }

    /// Asks over gRPC, one after the other, until nobody answers; how many were answered is what `then` hears.
    private func call(_ port: Int, _ name: String, _ book: Book, then: (Int) -> Void) async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
        try await withGRPCClient(transport: transport) { client in
            let service = Tidemark_V1_RecommendService.Client(wrapping: client)
            var options = CallOptions.defaults
            (options.waitForReady, options.timeout) = (false, .seconds(10))
            for number in 1... {
                let question = Tidemark_V1_RecommendRequest.with {
                    $0.pipeline = "home"
                    $0.entity["user_id"] = .with { $0.integer = Int64(number % 10) }
                }
                let id = "\(name)-\(number)"
                do {
                    let answer = try await service.recommend(
                        question, metadata: ["x-request-id": "\(id)"], options: options)
                    #expect(answer.requestID == id && answer.items.count == 5 && answer.rung == .popularity)
                } catch {
                    // It may have been answered on its way out.
                    book.pages.withLock { _ = $0.unknown.insert(id) }
                    let isTold = book.isTold.load(ordering: .relaxed)
                    #expect(isTold, "\(error)")
                    return
                }
                book.pages.withLock { _ = $0.recommended.insert(id) }
                then(book.count)
            }
        }
    }

    @Test func nothingThatWasAnsweredOverGRPCIsLostWhenItIsTold() async throws {
        try await withShop(Self.files) { workdir in
            let daemon = try run(["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"], workdir)
            try #require(await daemon.hasSaid("the gRPC listener listens"), "\(daemon.errorText)")
            let line = try #require(daemon.errorText.split(separator: "\n").first { $0.contains("the gRPC listener") })
            let address = try #require(line.range(of: "127.0.0.1:"))
            let port = try #require(Int(line[address.upperBound...].prefix { $0.isNumber }))
            let book = Book()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for client in 0..<8 {
                    tasks.addTask {
                        try await call(port, "g\(client)", book) { count in
                            guard count >= 600, !book.isTold.exchange(true, ordering: .relaxed) else { return }
                            daemon.terminate()
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            let ending = await daemon.ending(within: .seconds(30))
            #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
            let pages = book.pages.withLock { $0 }
            let logged = try lines(workdir, "exposures.jsonl").compactMap { $0["request_id"] as? String }
            #expect(Set(logged).count == logged.count && pages.recommended.count >= 600)
            #expect(pages.recommended.isSubset(of: logged))
            #expect(Set(logged).subtracting(pages.recommended).isSubset(of: pages.unknown))
        }
    }

    @Test func aSinkThatIsGoneCostsTheOldestAndNoRequest() async throws {
        let sections = "exposures: {file: {path: exposures.jsonl}, queue: 100}\nevents: {file: {path: events.jsonl}}"
        try await withShop(sections) { workdir in
            // A folder where the file should be.
            try workdir.write("", to: "exposures.jsonl/x")
            let (daemon, port) = try await serve(workdir)
            let client = try RawClient(port: port)
            for number in 0..<400 {
                let answer = try await client.ask(
                    "POST", "/v1/recommend", "{\"pipeline\":\"home\",\"entity\":{\"user_id\":\(number)}}",
                    headers: ["x-request-id: r\(number)"])
                #expect(answer.status == 200)
            }
            // A try may be under way that has some of them out.
            let lost = "tidemark_event_log_dropped_total{log=\"exposures\",reason=\"full\"} 300\n"
            var page = try await client.ask("GET", "/metrics").body
            for _ in 0..<1_000 where !page.contains(lost) { page = try await client.ask("GET", "/metrics").body }
            #expect(page.contains(lost), "\(page)")
            #expect(page.contains("tidemark_event_log_waiting{log=\"exposures\"} 100\n"))
            #expect(page.contains("tidemark_event_log_failing{log=\"exposures\"} 1\n"))
            let durations = "tidemark_recommend_duration_seconds_count{pipeline=\"home\",outcome=\"popularity\"}"
            #expect(page.contains("\(durations) 400\n"))
            // The folder goes, and the newest hundred come.
            _ = try await DaemonProcess("/bin/rm", ["-r", workdir.file("exposures.jsonl")]).ending()
            daemon.terminate()
            let ending = await daemon.ending(within: .seconds(30))
            #expect(ending.code == 0, "\(ending.story)")
            #expect(ending.errors.components(separatedBy: "events can't be written").count == 2, "\(ending.story)")
            let logged = try lines(workdir, "exposures.jsonl").compactMap { $0["request_id"] as? String }
            #expect(logged == (300..<400).map { "r\($0)" })
        }
    }

    /// What the documentation says of a crash: what was written stays, what waited a moment before is gone, no line is broken.
    @Test func aCrashLeavesWholeLines() async throws {
        try await withShop(Self.files) { workdir in
            for round in 0..<3 {
                let (daemon, port) = try await serve(workdir)
                let client = try RawClient(port: port)
                for number in 0..<50 {
                    let answer = try await client.ask(
                        "POST", "/v1/recommend", "{\"pipeline\":\"home\",\"entity\":{\"user_id\":\(number)}}",
                        headers: ["x-request-id: r\(round)-\(number)"])
                    #expect(answer.status == 200)
                }
                if round == 2 { daemon.terminate() } else { daemon.kill() }
                _ = await daemon.ending(within: .seconds(30))
            }
            let logged = Set(try lines(workdir, "exposures.jsonl").compactMap { $0["request_id"] as? String })
            #expect(logged.isSuperset(of: (0..<50).map { "r2-\($0)" }))
        }
    }
}
