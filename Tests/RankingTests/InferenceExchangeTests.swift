import Ranking
import Testing
import TidemarkTesting

/// The bodies of the Open Inference Protocol v2.
@Suite struct InferenceExchangeTests {
    @Test func requestHasOneRowACandidateAndNullForWhatIsMissing() {
        var matrix = FeatureMatrix(rows: 2, columns: 2)
        matrix.values = [1, .nan, 0.5, -.infinity]
        let text = InferenceExchange.request(matrix, id: "7")
        #expect(text.contains(#""shape":[2,2],"datatype":"FP32""#))
        #expect(text.contains(#""data":[1.0,null,0.5,-3.4028235e+38]"#))
        #expect(text.hasPrefix(#"{"id":"7","#))
    }

    @Test func answerIsOneScoreARow() throws {
        let body =
            #"{"model_name":"m","model_version":"v2","outputs":[{"name":"predict","shape":[3,1],"datatype":"FP32","data":[0.5,null,1]}]}"#
        let (scores, version) = try InferenceExchange.scores(Array(body.utf8), rows: 3)
        #expect(scores[0] == 0.5)
        #expect(scores[1].isNaN)
        #expect(scores[2] == 1)
        #expect(version == "v2")
    }

    @Test(arguments: [
        #"{"outputs":[]}"#, #"{}"#, "", "[", #"{"outputs":[{"shape":[2],"datatype":"FP32","data":[1]}]}"#,
        #"{"outputs":[{"shape":[1],"datatype":"FP32","data":[1,2]}]}"#,
        #"{"outputs":[{"shape":[],"datatype":"FP32","data":[1,2]}]}"#,
        #"{"outputs":[{"shape":[2],"datatype":"BYTES","data":[1,2]}]}"#,
        #"{"outputs":[{"shape":[2],"datatype":"FP32","data":["1","2"]}]}"#,
    ])
    func anyOtherAnswerIsRefused(_ body: String) {
        #expect { try InferenceExchange.scores(Array(body.utf8), rows: 2) } throws: {
            ($0 as? RankerError)?.code == .mismatch
        }
    }

    @Test func answerBentAnywhereIsReadOrRefused() {
        let body = Array(
            #"{"model_version":"1","outputs":[{"name":"p","shape":[2],"datatype":"FP32","data":[0.25,-1e3]}]}"#.utf8)
        var random = SeededGenerator(seed: 5)
        for _ in 0..<2_000 {
            var bent = body
            bent[random.below(bent.count)] ^= 1 << UInt8(random.below(8))
            guard let scores = try? InferenceExchange.scores(bent, rows: 2).scores else { continue }
            #expect(scores.count == 2)
        }
    }
}
