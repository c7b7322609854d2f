import FeatureModel
import NIOCore
import OnlineStore
import Serving
import Testing

/// Writes that don't fit, and the exact errors they get.
@Suite(.timeLimit(.minutes(1)))
struct WrongWriteTests {
    private static func fault(_ status: Int, _ message: String, _ name: String = "FeastError") -> String {
        #"\#(status) "{\"module\": \"feast.errors\", \"class\": \"\#(name)\", \"message\": \"\#(message)\"}""#
    }

    private func fixture() async throws -> PushFixture {
        let fixture = PushFixture(MemoryStore())
        var contract = FeatureContract()
        contract.minimum = 0
        try await fixture.apply(PushFixture.view([PushFixture.number("score", contract), PushFixture.number("rank")]))
        return fixture
    }

    @Test(arguments: [
        (#"{"driver_id":[1],"at":[1],"score":[1]}"#, "/df: the rows don't fit view stats: columns are missing: rank"),
        (
            #"{"driver_id":[1],"at":[1],"score":[1],"rnak":[1]}"#,
            "/df: the rows don't fit view stats: columns are missing: rank; columns that it doesn't have: rnak; did you "
                + "mean rank?"
        ),
        (
            #"{"driver_id":[1],"score":[1],"rank":[1]}"#,
            "/df: the rows don't fit view stats: columns are missing: at"
        ),
        (#"{"driver_id":[1,2],"at":[1],"score":[1],"rank":[1]}"#, "All arrays must be of the same length"),
        (
            #"{"driver_id":["1"],"at":[1],"score":[1],"rank":[1]}"#,
            "/df/driver_id/0: the key driver_id is int64, this is a string"
        ),
        (
            #"{"driver_id":[1],"at":[null],"score":[1],"rank":[1]}"#,
            "/df/at/0: at is an event time, this is no number"
        ),
        (
            #"{"driver_id":[1],"at":["yesterday"],"score":[1],"rank":[1]}"#,
            "/df/at/0: at is an event time, this is no time such as 2026-01-31T12:00:00Z"
        ),
        (
            #"{"driver_id":[1],"at":["9000-01-01"],"score":[1],"rank":[1]}"#,
            "/df/at/0: the event time is more than a day ahead of the clock"
        ),
        (
            #"{"driver_id":[1,2],"at":[1,1],"score":[1,1],"rank":[1,1.5]}"#,
            "/df/rank/1: rank is int64, this is no integer"
        ),
        (
            #"{"driver_id":[1,2],"at":[1,1],"score":[1,-1],"rank":[1,1]}"#,
            "/df/score/1: score breaks its contract (min): -1.0 is below 0.0"
        ),
    ])
    func frames(_ frame: String, _ message: String) async throws {
        let fixture = try await fixture()
        let answer = await fixture.write(frame)
        #expect("\(answer.status) \(String(buffer: answer.body))" == Self.fault(400, message))
        let key = try #require(EntityKey([.integer(1)]))
        #expect(try await fixture.store.read([key], in: PushFixture.space) == [nil], "nothing is written")
    }

    @Test
    func views() async throws {
        let fixture = try await fixture()
        func text(_ answer: WriteRoutes.Answer) -> String { "\(answer.status) \(String(buffer: answer.body))" }
        #expect(
            text(await fixture.write("{}", to: "stat"))
                == Self.fault(
                    404, "Feature view stat does not exist in project shop; did you mean stats?",
                    "FeatureViewNotFoundException"))
        func push(_ body: String) async -> String {
            text(await fixture.routes.push(.init(string: body), deadline: .now + .seconds(20)))
        }
        #expect(
            await push(#"{"push_source_name":"nothing","df":{}}"#)
                == Self.fault(
                    422, "Unable to find push source 'nothing'. there are: stats", "PushSourceNotFoundException"))
        #expect(
            await push(#"{"push_source_name":"stats","df":{},"to":"nowhere"}"#)
                == Self.fault(
                    400,
                    "nowhere is not a supported push format. Please specify one of these ['online', 'offline', "
                        + "'online_and_offline']."))
        #expect(await push(#"{"push_source_name":"stats","df":{},"to":"offline"}"#).hasPrefix("400 "))
        #expect(await push(#"{"push_source_name":"stats","df":{}}"#) == "200 ")
        #expect(
            await push(#"{"push_source_name":1,"df":{}}"#)
                == #"422 {"detail":[{"type":"string_type","loc":["body","push_source_name"],"msg":"Input should be a valid "#
                + #"string","input":1}]}"#)
    }

    @Test
    func aViewWithoutEventTimeTakesNoPushes() async throws {
        let fixture = PushFixture(MemoryStore())
        try await fixture.apply(PushFixture.view([PushFixture.number()], eventTime: false))
        let answer = await fixture.write(#"{"driver_id":[1],"score":[1],"event_timestamp":[1]}"#)
        #expect(
            "\(answer.status) \(String(buffer: answer.body))"
                == Self.fault(
                    400,
                    "view stats has no event_time, so that nothing tells whether a pushed row is newer; name one in its "
                        + "definition to push to it"))
    }

    @Test
    func aStoreWithoutDefinitionsIsSaidToBeOne() async throws {
        let answer = await PushFixture(MemoryStore()).write("{}")
        #expect(answer.status == 409)
    }
}
