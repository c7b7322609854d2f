import HTTPTypes
import Hummingbird

/// The answer to a change, as it is kept.
struct AdminAnswer: Sendable {
    let status: HTTPResponse.Status
    let contentType: String
    let body: [UInt8]
    var headers: HTTPFields = [:]

    var response: Response {
        var response = AdminJSON.response(status, body, contentType: contentType)
        response.headers.append(contentsOf: headers)
        return response
    }
}
