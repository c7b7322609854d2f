import FeatureModel
import Logging
import OnlineStore
import Recommend
import Telemetry
import Testing
import TidemarkTesting

/// Which runs may be made where requests are read.
struct BriefRunTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var recall = "popular: {list: popular, quota: 100}"
        var candidates = 100
        var longestRow = 100
        var change: @Sendable (inout RecommendRequest) -> Void = { _ in }
        let isBrief: Bool
    }

    static let cases = [
        Case(testDescription: "a hundred candidates", isBrief: true),
        Case(testDescription: "an explanation", change: { $0.explain = true }, isBrief: false),
        Case(testDescription: "many candidates", candidates: 900, isBrief: true),
        Case(testDescription: "too many candidates", candidates: 901, isBrief: false),
        Case(testDescription: "many of the caller's", change: { $0.candidates = items(1_000) }, isBrief: true),
        Case(
            testDescription: "too many of the caller's",
            change: {
                $0.candidates = items(500)
                $0.exclude = items(501)
            }, isBrief: false),
        Case(testDescription: "a long list", longestRow: 100_000, isBrief: true),
        Case(
            testDescription: "seeds with short rows",
            recall: #"near: {list: similar, seeds: "recent:items", quota: 100}"#,
            isBrief: true),
        Case(
            testDescription: "seeds with long rows",
            recall: #"near: {list: similar, seeds: "recent:items", quota: 100}"#,
            longestRow: 1_000, isBrief: false),
        Case(
            testDescription: "segments of which some are summed",
            recall: #"taste: {list: popular, segment: "recent:tags", quota: 200}"#, longestRow: 100_000, isBrief: true),
        Case(
            testDescription: "segments of which many are summed",
            recall: #"taste: {list: popular, segment: "recent:tags", quota: 500}"#, longestRow: 100_000, isBrief: false),
    ]

    private static func items(_ count: Int64) -> [EntityKeyValue] { (0..<count).map { .integer($0) } }

    @Test(arguments: cases) func whatIsLongIsToldBeforeItIsRun(_ example: Case) throws {
        let text = """
            project: shop
            online_store: {url: "memory:"}
            sources: {shop: {url: "csv:a"}}
            recall:
              lists:
                popular: {kind: popularity, from: shop, query: SELECT 1, item: item, time: ts}
                similar: {kind: co_occurrence, from: shop, query: SELECT 1, user: user, item: item, time: ts}
            pipelines:
              home:
                user: user
                item: item
                recall: {\(example.recall)}
                candidates: \(example.candidates)
                fallback: popular
            """
        let recommender = Recommender(
            Recommender.Environment(
                runner: CallRunner(), catalogs: TestCatalog(), rows: StoreRows(MemoryStore()),
                list: { _ in TestList(items: example.longestRow) }, ranker: { _ in nil }, gates: GateBook(),
                registry: MetricRegistry(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        recommender.apply(try Config.parse(file: "t.yaml", text: Array(text.utf8)).pipelines, blocked: [:])
        var request = RecommendRequest(pipeline: "home", entity: ["user_id": .integer(1)])
        example.change(&request)
        #expect(recommender.isBrief(request) == example.isBrief)
    }
}
