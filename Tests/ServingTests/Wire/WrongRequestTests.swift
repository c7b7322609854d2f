import FeatureModel
import NIOCore
import Serving
import Testing

/// Wrong bodies and the exact errors they get.
struct WrongRequestTests {
    private static let limits = WireLimits()
    private static let keys = KeyColumns([
        .init(name: "user_id", type: .int64), .init(name: "city", type: .string),
    ])

    private static func ours(_ text: String) -> String {
        let body = ByteBuffer(string: text)
        do throws(WireError) {
            let request = try LookupParser.lookup(body, limits: limits)
            if request.isService {
                _ = try FeatureSelection.service(body, request, limits: limits)
            } else {
                _ = try FeatureSelection.features(body, request, limits: limits)
            }
            _ = try EntityReader(keys, limits: limits).rows(body, request)
            return "fine"
        } catch {
            let answer = ErrorBody.problem(error)
            return "\(answer.status) \(String(buffer: answer.body))"
        }
    }

    private static func feast(_ text: String) -> String {
        let body = ByteBuffer(string: text)
        do throws(WireError) {
            let request = try LookupParser.feast(body, limits: limits)
            if request.isService {
                _ = try FeatureSelection.service(body, request, limits: limits)
            } else {
                _ = try FeatureSelection.features(body, request, limits: limits)
            }
            _ = try EntityReader(keys, limits: limits).columns(body, request)
            return "fine"
        } catch {
            let answer = ErrorBody.feast(error, request: body)
            return "\(answer.status) \(String(buffer: answer.body))"
        }
    }

    private static func invalid(_ detail: String, _ pointer: String? = nil) -> String {
        let whole = (pointer.map { "\($0): " } ?? "") + detail
        let errors = pointer.map { #","errors":[{"pointer":"\#($0)","detail":"\#(detail)"}]"# } ?? ""
        return
            #"400 {"type":"invalid-request","title":"The request does not fit","status":400,"detail":"\#(whole)"\#(errors)}"#
    }

    private static func notJSON(_ detail: String) -> String {
        #"400 {"type":"invalid-json","title":"The body is not JSON","status":400,"detail":"\#(detail)"}"#
    }

    @Test(arguments: [
        ("", invalid("the body is empty")),
        ("  ", invalid("the body is empty")),
        ("[1]", invalid("the body is not an object")),
        ("{}", invalid("the field features is missing, and there is no service", "/features")),
        (#"{"feature":["a:b"]}"#, invalid("there is no field feature; did you mean features?", "/feature")),
        (#"{"features":["a:b"]}"#, invalid("the field entities is missing", "/entities")),
        (#"{"features":"a:b","entities":[]}"#, invalid("features is not a list", "/features")),
        (
            #"{"features":["a:b"],"service":"s","entities":[]}"#,
            invalid("give features or a service, not both", "/service")
        ),
        (#"{"features":["a:b"],"entities":{}}"#, invalid("entities is not a list", "/entities")),
        (#"{"features":["a:b"],"entities":[],"ages":"x"}"#, invalid("ages is neither true nor false", "/ages")),
        (#"{"features":[],"entities":[]}"#, invalid("No features specified for retrieval", "/features")),
        (#"{"features":["a:b",1],"entities":[]}"#, invalid("a feature is not a string", "/features/1")),
        (#"{"features":["ab"],"entities":[]}"#, invalid(#"\"ab\" is no feature; write view:feature"#, "/features/0")),
        (
            #"{"features":["a@v2:b"],"entities":[]}"#,
            invalid(
                #"\"a@v2:b\" asks for a version; the active version of a view is what is served: write a:b"#,
                "/features/0")
        ),
        (#"{"features":["a:b"],"entities":[1]}"#, invalid("it is not an object", "/entities/0")),
        (
            #"{"features":["a:b"],"entities":[{"userid":1,"city":"x"}]}"#,
            invalid("userid is no key of the entity; did you mean user_id?", "/entities/0/user_id")
        ),
        (
            #"{"features":["a:b"],"entities":[{"user_id":1,"city":"x"},{"user_id":"1","city":"x"}]}"#,
            invalid("the key user_id is int64, this is a string", "/entities/1/user_id")
        ),
        (
            #"{"features":["a:b"],"entities":[{"user_id":1.0,"city":"x"}]}"#,
            invalid("the key user_id is int64, this is not an integer", "/entities/0/user_id")
        ),
        (
            #"{"features":["a:b"],"entities":[{"user_id":9223372036854775808,"city":"x"}]}"#,
            invalid("the key user_id is int64, this is out of its range", "/entities/0/user_id")
        ),
        (
            #"{"features":["a:b"],"entities":[{"user_id":1,"city":null}]}"#,
            invalid("the key city is string, this is null", "/entities/0/city")
        ),
        (#"{"features":["a:b"],"entities":[{"user_id":1,"city":"x"}]}"#, "fine"),
        (#"{"features":["a:b"],"entities":[]} x"#, notJSON("not JSON: something follows the value, at byte 35")),
        (#"{"features":["a:b"],"entities":[NaN]}"#, notJSON("not JSON: no value begins here, at byte 32")),
        (#"{"features":["a:b"],"entities":[01]}"#, notJSON("not JSON: a number begins with 0, at byte 32")),
        (#"{"features":["a:b"]"#, notJSON("not JSON: the text ends too early, at byte 19")),
        (#"{"features":["\ud800:b"]}"#, notJSON("not JSON: an escape is wrong, at byte 14")),
        ("{\"a\":\"\u{01}\"}", notJSON("not JSON: a control character stands in a string, at byte 6")),
        ("\u{FEFF}{}", notJSON("not JSON: no value begins here, at byte 0")),
        (#"{"a":1,}"#, invalid("there is no field a; there are: ages, entities, features, service", "/a")),
        (#"{"ages":1,}"#, notJSON("not JSON: a name in quotes is missing, at byte 10")),
    ])
    func ourRouteSays(_ body: String, _ answer: String) {
        #expect(Self.ours(body) == answer)
    }

    private static func detail(_ type: String, _ loc: String, _ message: String, _ input: String) -> String {
        #"422 {"detail":[{"type":"\#(type)","loc":[\#(loc)],"msg":"\#(message)","input":\#(input)}]}"#
    }

    private static func fault(_ status: Int, _ name: String, _ message: String) -> String {
        #"\#(status) "{\"module\": \"feast.errors\", \"class\": \"\#(name)\", \"message\": \"\#(message)\"}""#
    }

    @Test(arguments: [
        ("", detail("missing", #""body""#, "Field required", "null")),
        (
            "[1]",
            detail(
                "model_attributes_type", #""body""#,
                "Input should be a valid dictionary or object to extract fields from", "[1]")
        ),
        ("{}", detail("missing", #""body","entities""#, "Field required", "{}")),
        (#"{"entities":3}"#, detail("dict_type", #""body","entities""#, "Input should be a valid dictionary", "3")),
        (
            #"{"features":["a:b"],"entities":{"user_id":3}}"#,
            detail("list_type", #""body","entities","user_id""#, "Input should be a valid list", "3")
        ),
        (
            #"{"features":null,"entities":{}}"#,
            detail("list_type", #""body","features""#, "Input should be a valid list", "null")
        ),
        (
            #"{"features":[1],"entities":{}}"#,
            detail("string_type", #""body","features",0"#, "Input should be a valid string", "1")
        ),
        (
            #"{"feature_service":1,"entities":{}}"#,
            detail("string_type", #""body","feature_service""#, "Input should be a valid string", "1")
        ),
        (
            #"{"features":["a:b"],"entities":{},"full_feature_names":null}"#,
            detail("bool_type", #""body","full_feature_names""#, "Input should be a valid boolean", "null")
        ),
        (
            #"{"entities":"#,
            #"422 {"detail":[{"type":"json_invalid","loc":["body",12],"msg":"JSON decode error","input":{},"#
                + #""ctx":{"error":"not JSON: the text ends too early, at byte 12"}}]}"#
        ),
        (#"{"entities":{}}"#, fault(400, "FeastError", "No features specified for retrieval")),
        (#"{"entities":{},"feature_service":null}"#, fault(400, "FeastError", "No features specified for retrieval")),
        (
            #"{"features":["a:b"],"entities":{"user_id":[1,2],"other":[1]}}"#,
            fault(400, "FeastError", "All entity rows must have the same columns.")
        ),
        (
            #"{"features":["a:b"],"entities":{"user_id":[1]}}"#,
            fault(
                400, "FeastError",
                "/entities/city: entities has no city, a join key of the features")
        ),
        (
            #"{"features":["a:b"],"entities":{"user_id":[1,null],"city":["x","y"]}}"#,
            fault(400, "FeastError", "/entities/user_id/1: the key user_id is int64, this is null")
        ),
        (
            #"{"features":["a:b"],"entities":{"user_id":["1"],"city":["x"]}}"#,
            fault(400, "FeastError", "/entities/user_id/0: the key user_id is int64, this is a string")
        ),
        (
            #"{"features":["a@v2:b"],"entities":{"user_id":[1],"city":["x"]}}"#,
            fault(
                400, "VersionedOnlineReadNotSupported",
                #"\\\"a@v2:b\\\" asks for a version; the active version of a view is what is served: write a:b"#)
        ),
        (#"{"features":["a:b"],"entities":{"user_id":[1],"city":["x"],"z":[[]]},"more":[{}]}"#, "fine"),
    ])
    func feastsRouteSays(_ body: String, _ answer: String) {
        #expect(Self.feast(body) == answer)
    }

    @Test
    func feastsClassesAndTextsAreItsOwn() {
        func text(_ fault: FeastFault) -> String {
            let answer = ErrorBody.feast(fault)
            return "\(answer.status) \(String(buffer: answer.body))"
        }
        #expect(
            text(.viewNotFound("nope", project: "my_project"))
                == Self.fault(
                    404, "FeatureViewNotFoundException", "Feature view nope does not exist in project my_project"))
        #expect(
            text(.serviceNotFound("é", project: "p"))
                == Self.fault(
                    404, "FeatureServiceNotFoundException", #"Feature service \\u00e9 does not exist in project p"#))
        #expect(
            text(.pushSourceNotFound("s"))
                == Self.fault(422, "PushSourceNotFoundException", "Unable to find push source 's'."))
        let twice = [FeatureReference(view: "a", feature: "x"), FeatureReference(view: "b", feature: "x")]
        #expect(
            text(.nameCollision(twice, fullFeatureNames: false))
                == Self.fault(
                    400, "FeatureNameCollisionError",
                    #"Duplicate features named x found.\\nTo resolve this collision, either use the full feature name by "#
                        + "setting 'full_feature_names=True', or ensure that the features in question have different names."
                ))
    }

    @Test
    func aLongWrongValueIsNotSentBack() {
        let long = String(repeating: "x", count: 5_000)
        #expect(
            Self.feast(#"{"entities":"\#(long)"}"#)
                == Self.detail("dict_type", #""body","entities""#, "Input should be a valid dictionary", "null"))
    }
}
