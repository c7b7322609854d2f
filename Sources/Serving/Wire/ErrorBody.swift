package import NIOCore
import OnlineStore
package import Recommend

/// A whole answer that is an error.
package struct ErrorAnswer: Sendable, Hashable {
    package let status: Int
    package let contentType: String
    package let body: ByteBuffer
}

/// The bodies of errors: `application/problem+json` on our routes, Feast's own spelling on Feast's.
package enum ErrorBody {
    /// The content type of our errors.
    package static let problemType = "application/problem+json"
    /// The content type of Feast's errors.
    package static let feastType = "application/json"
    /// A wrong value that is longer, in bytes, is not sent back.
    private static let longestInput = 1_024

    // MARK: Ours

    /// A problem of RFC 9457. `pointer` names a place in the body (RFC 6901).
    package static func problem(
        status: Int, type: String, title: String, detail: String, errors: [(pointer: String, detail: String)] = []
    ) -> ByteBuffer {
        var output = JSONBytes()
        output.raw("{\"type\":")
        output.string(type)
        output.raw(",\"title\":")
        output.string(title)
        output.raw(",\"status\":\(status),\"detail\":")
        output.string(detail)
        if !errors.isEmpty {
            output.raw(",\"errors\":[")
            for (index, error) in errors.enumerated() {
                output.raw(index == 0 ? "{\"pointer\":" : ",{\"pointer\":")
                output.string(error.pointer)
                output.raw(",\"detail\":")
                output.string(error.detail)
                output.raw("}")
            }
            output.raw("]")
        }
        output.raw("}")
        return ByteBuffer(bytes: output.bytes)
    }

    /// A problem of a kind that the house knows.
    package static func problem(_ problem: Problem, _ detail: String) -> ErrorAnswer {
        ErrorAnswer(
            status: problem.status, contentType: problemType,
            body: self.problem(
                status: problem.status, type: problem.type, title: problem.title, detail: detail))
    }

    /// A request that doesn't fit, on our routes.
    package static func problem(_ error: WireError) -> ErrorAnswer {
        let problem = error.problem
        return ErrorAnswer(
            status: problem.status, contentType: problemType,
            body: self.problem(
                status: problem.status, type: problem.type, title: problem.title, detail: error.description,
                errors: error.path.isEmpty ? [] : [(error.pointer, error.detail)]))
    }

    /// A recommendation that can't be made.
    package static func problem(_ error: RecommendError) -> ErrorAnswer {
        let problem: Problem =
            switch error.code {
            case .unknownPipeline: .notFound
            case .wrongRequest: .invalidRequest
            case .tooLarge: .limitExceeded
            case .unavailable: .unavailable
            }
        let place = error.place
        return ErrorAnswer(
            status: problem.status, contentType: problemType,
            body: self.problem(
                status: problem.status, type: problem.type, title: problem.title, detail: error.description,
                errors: place.path.isEmpty ? [] : [(place.pointer, error.description)]))
    }

    // MARK: Feast's

    /// An error of one of Feast's classes: JSON in a JSON string.
    package static func feast(_ fault: FeastFault) -> ErrorAnswer {
        let inner =
            "{\"module\": \"feast.errors\", \"class\": \(ascii(fault.name)), "
            + "\"message\": \(ascii(fault.message))}"
        var output = JSONBytes()
        output.string(inner)
        return ErrorAnswer(status: fault.status, contentType: feastType, body: ByteBuffer(bytes: output.bytes))
    }

    /// An error of FastAPI's, which has no class: `{"detail":…}`.
    package static func feastDetail(_ status: Int, _ detail: String) -> ErrorAnswer {
        var output = JSONBytes()
        output.raw("{\"detail\":")
        output.string(detail)
        output.raw("}")
        return ErrorAnswer(status: status, contentType: feastType, body: ByteBuffer(bytes: output.bytes))
    }

    /// A problem of a kind that the house knows, on Feast's routes.
    package static func feast(_ problem: Problem, _ detail: String) -> ErrorAnswer {
        feast(FeastFault(status: problem.status, message: detail))
    }

    /// A request that doesn't fit, on Feast's routes: FastAPI's 422 where the body has the wrong shape, else Feast's own
    /// spelling. `body` is the request's.
    package static func feast(_ error: WireError, request body: ByteBuffer) -> ErrorAnswer {
        switch error.code {
        case .shape(let shape): mismatch(error, shape, body)
        case .invalidJSON: unreadable(error)
        case .versionedFeature:
            feast(FeastFault(status: 400, name: "VersionedOnlineReadNotSupported", message: error.detail))
        case .noFeatures, .unequalColumns: feast(FeastFault(status: 400, message: error.detail))
        case .bodyTooLarge, .limitExceeded, .unknownField, .invalidFeature, .missingKey, .invalidKey, .invalidValue,
            .columns, .invalidTimeout:
            feast(FeastFault(status: error.problem.status, message: error.description))
        }
    }

    private static func mismatch(_ error: WireError, _ shape: WireError.Shape, _ body: ByteBuffer) -> ErrorAnswer {
        var output = JSONBytes()
        output.raw("{\"detail\":[{\"type\":\"\(shape.rawValue)\",\"loc\":[\"body\"")
        for step in error.path {
            output.raw(",")
            switch step {
            case .field(let name): output.string(name)
            case .element(let index): output.raw("\(index)")
            }
        }
        output.raw("],\"msg\":\"\(message(shape))\",\"input\":")
        if let input = error.input, input.count <= longestInput,
            let bytes = body.viewBytes(at: body.readerIndex + input.lowerBound, length: input.count)
        {
            output.raw(bytes)
        } else {
            output.raw("null")
        }
        output.raw("}]}")
        return ErrorAnswer(status: 422, contentType: feastType, body: ByteBuffer(bytes: output.bytes))
    }

    private static func unreadable(_ error: WireError) -> ErrorAnswer {
        var output = JSONBytes()
        output.raw("{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",\(error.offset)],")
        output.raw("\"msg\":\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":")
        output.string(error.detail)
        output.raw("}}]}")
        return ErrorAnswer(status: 422, contentType: feastType, body: ByteBuffer(bytes: output.bytes))
    }

    /// The words of pydantic 2.
    private static func message(_ shape: WireError.Shape) -> String {
        switch shape {
        case .missing: "Field required"
        case .object: "Input should be a valid dictionary"
        case .model: "Input should be a valid dictionary or object to extract fields from"
        case .list: "Input should be a valid list"
        case .string: "Input should be a valid string"
        case .boolean: "Input should be a valid boolean"
        }
    }

    /// A quoted string in ASCII alone, as Python's `json.dumps` writes.
    private static func ascii(_ text: String) -> String {
        var output = "\""
        for unit in text.utf16 {
            switch unit {
            case 0x22: output += "\\\""
            case 0x5C: output += "\\\\"
            case 0x0A: output += "\\n"
            case 0x0D: output += "\\r"
            case 0x09: output += "\\t"
            case 0x08: output += "\\b"
            case 0x0C: output += "\\f"
            case 0x20..<0x7F: output.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default: output += escape(unit)
            }
        }
        return output + "\""
    }

    private static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
