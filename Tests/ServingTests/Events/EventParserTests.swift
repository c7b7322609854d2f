import FeatureModel
import HTTPTypes
import NIOCore
import Serving
import Testing

/// Members of an event, and of a CloudEvent.
private let view = #""id":"1","type":"view","entity":{"u":1},"item":1"#
private let data = #""data":{"entity":{"u":1},"item":1}"#
private let cloud = #""specversion":"1.0","id":"1","source":"s""#

/// Bodies of `/v1/events`: what is taken, and how what doesn't fit is named.
struct EventParserTests {
    private static let now: Int64 = 1_700_000_000_000_000

    private func parse(
        _ body: String, _ headers: HTTPFields = [:], maximum: Int = 10
    ) throws -> [ShopEvent] {
        try EventParser.parse(
            ByteBuffer(string: body), as: try EventFormat(headers), limits: WireLimits(), maximum: maximum,
            now: Self.now)
    }

    private func headers(_ fields: [(String, String)]) throws -> HTTPFields {
        var headers = HTTPFields()
        for (name, value) in fields {
            headers.append(HTTPField(name: try #require(HTTPField.Name(name)), value: value))
        }
        return headers
    }

    private func line(_ event: ShopEvent) -> String { String(decoding: event.json(received: Self.now), as: UTF8.self) }

    @Test func oneEventAndAListOfThem() throws {
        let one = try parse(
            """
            {"id": "e\\u0031", "type": "order", "time": "2023-11-14T20:13:20+01:00", "source": "web",
             "entity": {"user_id": 7}, "item": "a\\"b", "quantity": 2, "price": 19.990,
             "request_id": "r", "position": 3, "properties": {"a": [1,
              2]}}
            """)
        #expect(
            one.map(line) == [
                """
                {"id":"e1","source":"web","type":"order","time":"2023-11-14T19:13:20Z","received":"2023-11-14T22:13:20Z",\
                "entity":{"user_id":7},"item":"a\\"b","quantity":2,"price":19.990,"request_id":"r","position":3,\
                "properties":{"a": [1,  2]}}
                """
            ])
        let cart = #"{"id":"2","type":"cart","entity":{"u":"x"},"item":2,"price":null}"#
        let list = try parse("[{\(view)},\(cart)]")
        #expect(list.map(\.id) == ["1", "2"] && list.map(\.kind) == [.view, .cart] && list[1].price == nil)
        #expect(line(list[0]).contains(#""time":"2023-11-14T22:13:20Z","received":"2023-11-14T22:13:20Z""#))
        #expect(try parse("[]").isEmpty)
    }

    @Test func cloudEventsInEachMode() throws {
        let event = #"""
            {"specversion":"1.0","id":"1","source":"/web","type":"com.example.shop.view","datacontenttype":"application/json",
             "time":"2023-11-14T20:00:00Z","subject":"s","sampledrate":3,"data":{"entity":{"u":1},"item":5}}
            """#
        let structured = try parse(
            event, try headers([("Content-Type", "application/cloudevents+json; charset=utf-8")]))
        let batch = try parse(
            "[\(event)]", try headers([("content-type", "application/cloudevents-batch+json")]))
        #expect(structured == batch)
        #expect(
            structured.map(line) == [
                """
                {"id":"1","source":"/web","type":"view","time":"2023-11-14T20:00:00Z","received":"2023-11-14T22:13:20Z",\
                "entity":{"u":1},"item":5,"extensions":{"sampledrate":3,"subject":"s"}}
                """
            ])
        let binary = try parse(
            #"{"entity":{"u":1},"item":5}"#,
            try headers([
                ("Content-Type", "application/json"), ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/web"),
                ("ce-type", "view"), ("ce-time", "2023-11-14T20:00:00Z"), ("ce-subject", "s%20%C3%A9"),
            ]))
        #expect(binary.map(\.extensions) == [["subject": Array("\"s é\"".utf8)]])
        #expect(binary.map(\.item) == [.integer(5)] && binary.map(\.source) == ["/web"])
    }

    @Test(arguments: [
        ("[]x", "", "not JSON"),
        ("", "", "not JSON"),
        ("3", "", "not an object"),
        (#"{"id":"1","type":"view","entity":{"u":1}}"#, "/item", "missing"),
        ("[{\(view)},{\(view.replacing("view", with: "buy"))}]", "/1/type", "none of"),
        ("[{\(view)},7]", "/1", "not an object"),
        (#"{"id":"","type":"view","entity":{"u":1},"item":1}"#, "/id", "1 to 512"),
        (#"{"id":4,"type":"view","entity":{"u":1},"item":1}"#, "/id", "not a string"),
        (#"{"id":"1","type":"view","entity":{},"item":1}"#, "/entity", "no key"),
        (#"{"id":"1","type":"view","entity":7,"item":1}"#, "/entity", "not an object"),
        (#"{"id":"1","type":"view","entity":{"u":1.5},"item":1}"#, "/entity/u", "whole number or a text"),
        (#"{"id":"1","type":"view","entity":{"u":1},"item":null}"#, "/item", "whole number or a text"),
        ("{\(view),\"quantity\":0}", "/quantity", "from 1"),
        ("{\(view),\"price\":-1}", "/price", "from 0"),
        ("{\(view),\"properties\":[]}", "/properties", "not an object"),
        ("{\(view),\"postion\":1}", "/postion", "position"),
        ("{\(view),\"time\":\"yesterday\"}", "/time", "RFC 3339"),
        ("{\(view),\"time\":\"2023-11-16T00:00:00Z\"}", "/time", "a day ahead"),
    ])
    func whatDoesNotFitIsNamed(body: String, pointer: String, words: String) throws {
        let error = #expect(throws: WireError.self) { try self.parse(body) }
        #expect(error?.pointer == pointer && error?.detail.contains(words) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("{\"id\":\"1\",\"source\":\"s\",\"type\":\"view\",\(data)}", "/specversion"),
        ("{\(cloud.replacing("1.0", with: "0.3")),\"type\":\"view\",\(data)}", "/specversion"),
        ("{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"view\",\(data)}", "/source"),
        ("{\(cloud),\"type\":\"view\"}", "/data"),
        ("{\(cloud),\"type\":\"view\",\"data\":{\"item\":1}}", "/data/entity"),
        ("{\(cloud),\"type\":\"view\",\"data\":{\"entity\":{\"u\":[]},\"item\":1}}", "/data/entity/u"),
        ("{\(cloud),\"type\":\"view\",\"data\":\"x\"}", "/data"),
        ("{\(cloud),\"type\":\"view\",\"data_base64\":\"e30=\"}", "/data_base64"),
        ("{\(cloud),\"type\":\"views\",\(data)}", "/type"),
        ("{\(cloud),\"type\":\"view\",\"datacontenttype\":\"text/xml\",\(data)}", "/datacontenttype"),
        ("{\(cloud),\"type\":\"view\",\"Trace\":\"x\",\(data)}", "/Trace"),
    ])
    func whatIsNoCloudEventIsNamed(body: String, pointer: String) throws {
        let type = try headers([("content-type", "application/cloudevents+json")])
        let error = #expect(throws: WireError.self) { try self.parse(body, type) }
        #expect(error?.pointer == pointer, "\(String(describing: error))")
    }

    @Test(arguments: ["ce-id", "ce-source", "ce-type", "ce-specversion"])
    func binaryModeNeedsItsHeaders(missing: String) throws {
        let all = [("ce-id", "1"), ("ce-source", "s"), ("ce-type", "view"), ("ce-specversion", "1.0")]
        let some = try headers(all.filter { $0.0 != missing })
        let error = #expect(throws: WireError.self) { try self.parse(#"{"entity":{"u":1},"item":1}"#, some) }
        #expect(error?.detail == "the header \(missing) is missing")
        for wrong in ["%", "%4", "%zz", "%FF", "%+1"] {
            let broken = try headers(all + [("ce-subject", wrong)])
            #expect(throws: WireError.self) { try self.parse(#"{"entity":{"u":1},"item":1}"#, broken) }
        }
    }

    @Test func aListHasALimit() throws {
        let event = "{\(view)}"
        #expect(try parse("[\(event),\(event)]", maximum: 2).count == 2)
        let error = #expect(throws: WireError.self) { try self.parse("[\(event),\(event)]", maximum: 1) }
        #expect(error?.code == .limitExceeded)
    }
}
