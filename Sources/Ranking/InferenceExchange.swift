import FoundationEssentials

/// The bodies of the Open Inference Protocol, version 2, over HTTP, for one input of FP32 rows and one output of scores.
///
/// JSON knows no NaN and no infinity: a missing value is `null`, which servers that keep their tensors in NumPy take for
/// NaN, and infinities become the largest numbers there are.
package enum InferenceExchange {
    /// The longest answer that is read, in bytes: a score of a hundred bytes for each row, and its frame.
    package static func answerLimit(rows: Int) -> Int { 65_536 + rows * 100 }

    /// The body of an inference request.
    package static func request(_ matrix: FeatureMatrix, id: String) -> String {
        var text = #"{"id":"\#(id)","inputs":[{"name":"candidates","shape":[\#(matrix.rows),\#(matrix.columns)],"#
        text += #""datatype":"FP32","parameters":{"content_type":"np"},"data":["#
        text.reserveCapacity(text.utf8.count + matrix.values.count * 12)
        for (place, value) in matrix.values.enumerated() {
            if place > 0 { text += "," }
            if value.isNaN {
                text += "null"
            } else {
                text += "\(max(-Float.greatestFiniteMagnitude, min(Float.greatestFiniteMagnitude, value)))"
            }
        }
        return text + #"]}],"parameters":{"content_type":"np"}}"#
    }

    private struct Answer: Decodable {
        struct Output: Decodable {
            let datatype: String
            let shape: [Int]
            let data: [Float?]
        }

        let modelVersion: String?
        let outputs: [Output]

        enum CodingKeys: String, CodingKey {
            case modelVersion = "model_version"
            case outputs
        }
    }

    /// The scores of an answer, NaN where it has none, and the version that gave them.
    ///
    /// - Throws: `mismatch` for anything but one number a row.
    package static func scores(
        _ body: [UInt8], rows: Int
    ) throws(RankerError) -> (scores: [Float], version: String?) {
        let answer: Answer
        do {
            answer = try JSONDecoder().decode(Answer.self, from: Data(body))
        } catch {
            throw RankerError(.mismatch, "the answer makes no sense", detail: String("\(error)".prefix(300)))
        }
        guard let output = answer.outputs.first, ["FP32", "FP64", "FP16"].contains(output.datatype),
            output.data.count == rows, output.shape.first == rows
        else {
            let shape = answer.outputs.first.map { "\($0.datatype) \($0.shape.prefix(4))" } ?? "no output"
            throw RankerError(.mismatch, "the answer is not one number a row", detail: "\(shape) for \(rows) rows")
        }
        return (output.data.map { $0 ?? .nan }, answer.modelVersion)
    }
}
