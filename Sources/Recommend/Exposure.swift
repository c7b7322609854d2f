package import FeatureModel
import OnlineStore

/// An answer as it goes to the log of exposures: what was asked for whom, and what was answered from where.
package struct Exposure: Sendable {
    /// Microseconds since 1970.
    package let time: Int64
    package let requestID: String
    package let pipeline: String
    /// The user's key columns.
    package let entity: [String: EntityKeyValue]
    /// Without its explanation.
    package let answer: RecommendAnswer

    init(_ request: RecommendRequest, _ answer: RecommendAnswer, at time: Int64) {
        self.time = time
        requestID = request.requestID
        pipeline = request.pipeline
        entity = request.entity
        var plain = answer
        plain.explain = nil
        self.answer = plain
    }

    /// About the bytes of memory that it holds, beyond what lives anyway.
    package var size: Int {
        256 + requestID.utf8.count + entity.count * 64 + answer.items.count * MemoryLayout<RecommendAnswer.Item>.stride
    }

    /// One JSON object, without a line feed.
    package var json: [UInt8] {
        var output = JSONBytes()
        output.raw("{\"time\":")
        output.value(.timestamp(time))
        output.raw(",\"pipeline\":")
        output.string(pipeline)
        output.raw(",\"entity\":")
        output.entity(entity)
        output.raw(",")
        // The answer's own members stand beside these.
        var body = JSONBytes()
        answer.write(requestID: requestID, into: &body)
        output.raw(body.bytes.dropFirst())
        return output.bytes
    }
}
