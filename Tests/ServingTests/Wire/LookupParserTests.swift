import FeatureModel
import NIOCore
import Serving
import Testing

struct LookupParserTests {
    private let keys = KeyColumns([.init(name: "user_id", type: .int64)])

    private func rows(
        _ text: String, keys: [Entity.Key] = [.init(name: "user_id", type: .int64)]
    ) throws -> KeyValues {
        let body = ByteBuffer(string: text)
        let request = try LookupParser.lookup(body, limits: WireLimits())
        return try EntityReader(KeyColumns(keys), limits: WireLimits()).rows(body, request)
    }

    private func columns(
        _ text: String, keys: [Entity.Key] = [.init(name: "driver_id", type: .int64)]
    ) throws -> KeyValues {
        let body = ByteBuffer(string: text)
        let request = try LookupParser.feast(body, limits: WireLimits())
        return try EntityReader(KeyColumns(keys), limits: WireLimits()).columns(body, request)
    }

    @Test
    func readsOurBody() throws {
        var body = ByteBuffer(
            string: #"??{"features": ["a:b" , "c:d"], "ages":true,"entities":[{"user_id":1},{"x":[1],"user_id":-2}]} "#)
        body.moveReaderIndex(forwardBy: 2)
        let request = try LookupParser.lookup(body, limits: WireLimits())
        #expect(request.ages && !request.isService)
        let key = try #require(request.planKey(body))
        #expect(String(decoding: key, as: UTF8.self) == #"["a:b" , "c:d"]"#)
        let features = try FeatureSelection.features(
            body, request, limits: WireLimits())
        #expect(features == [.init(view: "a", feature: "b"), .init(view: "c", feature: "d")])
        let values = try EntityReader(keys, limits: WireLimits()).rows(body, request)
        #expect(values.count == 2)
        #expect(values.columns.map(\.name) == ["user_id"])
        #expect(values.columns[0].integers == [1, -2])
    }

    @Test
    func readsFeastsBody() throws {
        let body = ByteBuffer(
            string: """
                {"entities":{"unknown":["x","y"],"city":["Zürich","\\ud83d\\ude00"],"driver_id":[1001,1002]},"extra":{},
                 "feature_service":"s\\u0031","features":[],"full_feature_names":1,"include_feature_view_version_metadata":true}
                """)
        let request = try LookupParser.feast(body, limits: WireLimits())
        #expect(request.isService && request.fullFeatureNames && request.versionMetadata)
        #expect(
            try FeatureSelection.service(
                body, request, limits: WireLimits()) == "s1")
        let keys = KeyColumns([.init(name: "driver_id", type: .int64), .init(name: "city", type: .string)])
        let values = try EntityReader(keys, limits: WireLimits()).columns(body, request)
        #expect(values.columns.map(\.name) == ["city", "driver_id"], "columns come in the order of the request")
        #expect(values.columns[0][0] == .text("Zürich") && values.columns[0][1] == .text("😀"))
        #expect(values.columns[1].integers == [1001, 1002])
    }

    @Test
    func theLastOfTwoEqualNamesCounts() throws {
        let ours = try rows(
            #"{"features":1,"features":["a:b"],"entities":{},"entities":[{"user_id":null,"user_id":7}],"ages":0}"#)
        #expect(ours.columns[0].integers == [7])
        let feast = try columns(#"{"features":["a:b"],"entities":{"driver_id":["x"],"driver_id":[7]}}"#)
        #expect(feast.columns[0].integers == [7])
        #expect(try rows(#"{"features":["a:b"],"entities":[{"user\u005fid":3}]}"#).columns[0].integers == [3])
    }

    @Test
    func idsAreExactAtTheEndsOfTheirRange() throws {
        let values = try rows(
            #"{"features":["a:b"],"entities":[{"user_id":9223372036854775807},{"user_id":-9223372036854775808},{"user_id":9007199254740993},{"user_id":-0}]}"#
        )
        #expect(values.columns[0].integers == [.max, .min, 9_007_199_254_740_993, 0])
    }

    @Test
    func bytesKeysAreBase64() throws {
        let key = [Entity.Key(name: "k", type: .bytes)]
        let values = try rows(#"{"features":["a:b"],"entities":[{"k":"AAE="},{"k":""},{"k":"\u002f\/8="}]}"#, keys: key)
        #expect(values.columns[0][0] == .bytes([0, 1]))
        #expect(values.columns[0][1] == .bytes([]))
        #expect(values.columns[0][2] == .bytes([255, 255]))
        for wrong in ["A", "AAE", "AA=A", "AAF=", "A===", "====", "AAE=AAE=", "AA E"] {
            #expect(throws: WireError.self, "\(wrong)") {
                try rows(#"{"features":["a:b"],"entities":[{"k":"\#(wrong)"}]}"#, keys: key)
            }
        }
    }

    @Test
    func noEntitiesAreNoRows() throws {
        #expect(try rows(#"{"features":["a:b"],"entities":[]}"#).count == 0)
        #expect(try columns(#"{"features":["a:b"],"entities":{"driver_id":[]}}"#).count == 0)
    }

    @Test
    func limitsHold() throws {
        var limits = WireLimits()
        limits.entities = 2
        limits.features = 2
        limits.nesting = 4
        limits.bodyBytes = 200
        func code(_ text: String) -> WireError.Code? {
            let body = ByteBuffer(string: text)
            do throws(WireError) {
                let reader = EntityReader(keys, limits: limits)
                if text.contains("[{") {
                    let request = try LookupParser.lookup(body, limits: limits)
                    _ = try FeatureSelection.features(
                        body, request, limits: limits)
                    _ = try reader.rows(body, request)
                } else {
                    let request = try LookupParser.feast(body, limits: limits)
                    _ = try reader.columns(body, request)
                }
                return nil
            } catch {
                return error.code
            }
        }
        let row = #"{"user_id":1}"#
        #expect(code(#"{"features":["a:b","a:c"],"entities":[\#(row),\#(row)]}"#) == nil)
        #expect(code(#"{"features":["a:b"],"entities":[\#(row),\#(row),\#(row)]}"#) == .limitExceeded)
        #expect(code(#"{"features":["a:b","a:b","a:b"],"entities":[\#(row)]}"#) == .limitExceeded)
        #expect(code(#"{"features":["a:b"],"entities":{"user_id":[1,2]}}"#) == nil)
        #expect(code(#"{"features":["a:b"],"entities":{"user_id":[1,2,3]}}"#) == .limitExceeded)
        #expect(code(#"{"features":["a:b"],"entities":{"user_id":[1],"x":[[1]]}}"#) == nil)
        #expect(code(#"{"features":["a:b"],"entities":{"user_id":[1],"x":[[[1]]]}}"#) == .invalidJSON)
        #expect(
            code(#"{"features":["a:b"],"entities":{"user_id":[1]}}"# + String(repeating: " ", count: 200))
                == .bodyTooLarge)
    }

    @Test
    func deepNestingIsRefusedNotFollowed() {
        let deep = ByteBuffer(string: String(repeating: "[", count: 1_000_000))
        let error = #expect(throws: WireError.self) { try LookupParser.lookup(deep, limits: WireLimits()) }
        #expect(error?.code == .invalidJSON)
        #expect(error?.offset == 16)
    }

    @Test
    func collisionsAreByTheNameInTheAnswer() {
        let features = [
            FeatureReference(view: "a", feature: "x"), FeatureReference(view: "b", feature: "x"),
            FeatureReference(view: "a", feature: "y"),
        ]
        #expect(FeatureSelection.collisions(in: features, fullFeatureNames: false) == Array(features[0...1]))
        #expect(FeatureSelection.collisions(in: features, fullFeatureNames: true).isEmpty)
        #expect(FeatureSelection.collisions(in: features + [features[2]], fullFeatureNames: true).count == 2)
    }
}
