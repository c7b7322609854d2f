import AsyncHTTPClient
import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1

/// Posts batches to a collector (OTLP over HTTP with JSON).
struct OTLPClient: Sendable {
    /// What became of one try.
    enum Outcome: Sendable, Equatable {
        /// The collector has it, but for some spans.
        case accepted(rejected: Int)
        /// It may be tried again, not before the collector's own word on that.
        case later(String, after: Duration?)
        /// It would be refused again.
        case refused(String)
    }

    /// Bytes of an answer.
    private static let longestAnswer = 64 * 1_024

    private let client: HTTPClient
    private let settings: TraceSettings

    init(_ settings: TraceSettings) {
        self.settings = settings
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = TimeAmount(settings.timeout)
        // One batch is under way at a time.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func close() async { try? await client.shutdown() }

    /// Posts a batch; within its time, whatever the collector does.
    func post(_ body: [UInt8]) async -> Outcome {
        var request = HTTPClientRequest(url: settings.endpoint)
        request.method = .POST
        for (name, value) in settings.headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.headers.replaceOrAdd(name: "content-type", value: "application/json")
        request.headers.replaceOrAdd(name: "user-agent", value: "tidemark/\(settings.version)")
        request.body = .bytes(ByteBuffer(bytes: body))
        let deadline = NIODeadline.now() + TimeAmount(settings.timeout)
        do {
            let response = try await client.execute(request, deadline: deadline)
            return try await Self.outcome(response)
        } catch let error as HTTPClientError where Self.isHopeless(error) {
            return .refused("\(error.shortDescription)")
        } catch let error as HTTPClientError {
            return .later("\(error.shortDescription)", after: nil)
        } catch {
            return .later("the connection failed", after: nil)
        }
    }

    private static func outcome(_ response: HTTPClientResponse) async throws -> Outcome {
        switch response.status.code {
        case 200..<300:
            let body = try? await response.body.collect(upTo: longestAnswer)
            return .accepted(rejected: rejected(body.map { Array($0.readableBytesView) } ?? []))
        // Those that OTLP names, and no other.
        case 429, 502, 503, 504:
            return .later(
                "status \(response.status.code)", after: retryAfter(response.headers.first(name: "retry-after")))
        default: return .refused("status \(response.status.code)")
        }
    }

    /// Those that no other try would get around: an address that is none.
    private static func isHopeless(_ error: HTTPClientError) -> Bool {
        [.invalidURL, .emptyHost, .emptyScheme].contains(error)
    }

    /// Seconds, or a date of HTTP; a date that is past is no wait.
    static func retryAfter(_ value: String?) -> Duration? {
        guard let value else { return nil }
        if let seconds = Int(value) { return seconds < 0 ? nil : .seconds(min(seconds, 86_400)) }
        guard let date = date(value) else { return nil }
        return .seconds(min(max(0, date - time(nil)), 86_400))
    }

    /// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func date(_ text: String) -> Int? {
        let words = text.split { $0 == " " || $0 == ":" }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard words.count == 8, let month = months.firstIndex(of: String(words[2])) else { return nil }
        let numbers = [words[1], words[3], words[4], words[5], words[6]].compactMap { Int32($0) }
        guard numbers.count == 5, (1...31).contains(numbers[0]), (1_970...9_999).contains(numbers[1]) else {
            return nil
        }
        var parts = unsafe tm()
        unsafe parts.tm_mday = numbers[0]
        unsafe parts.tm_mon = Int32(month)
        unsafe parts.tm_year = numbers[1] - 1_900
        guard (0...23).contains(numbers[2]), (0...59).contains(numbers[3]), (0...60).contains(numbers[4]) else {
            return nil
        }
        unsafe parts.tm_hour = numbers[2]
        unsafe parts.tm_min = numbers[3]
        unsafe parts.tm_sec = numbers[4]
        return unsafe timegm(&parts)
    }

    /// How many spans a collector left out of those it took.
    static func rejected(_ body: [UInt8]) -> Int {
        guard !body.isEmpty, let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)) else { return 0 }
        return max(0, answer.partialSuccess?.rejectedSpans?.number ?? 0)
    }

    private struct Answer: Decodable {
        struct PartialSuccess: Decodable {
            let rejectedSpans: Count?
        }

        let partialSuccess: PartialSuccess?
    }

    /// 64-bit numbers are strings in OTLP's JSON, and numbers for some collectors.
    private struct Count: Decodable {
        let number: Int

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                number = Int(text) ?? 0
            } else {
                number = try container.decode(Int.self)
            }
        }
    }
}
