import GRPCCore
import GRPCProtobuf
import Recommend
import Serving

extension RPCError {
    /// The most bytes of a message: it travels in the trailers, of which clients take 8 KiB.
    private static let longestMessage = 1_024

    /// A request that may be sent again after so many seconds.
    static func overloaded(_ words: String, retryAfter seconds: Int) -> RPCError {
        RPCError(GoogleRPCStatus(code: .unavailable, message: words, details: .retryInfo(delay: .seconds(seconds))))
    }

    /// A mistake in the request, with the field it lies in: `candidates[3]`, `context["item:price"]`; none where `path` is empty.
    init(_ code: RPCError.Code, _ words: String, at path: [WireError.Step]) {
        guard !path.isEmpty else {
            self.init(code: code, message: words)
            return
        }
        let field = Self.field(path)
        let violation = ErrorDetails.BadRequest.FieldViolation(field: field, description: Self.cut(words))
        let status = GoogleRPCStatus(
            code: code, message: Self.cut("\(field): \(words)"), details: .badRequest(violations: [violation]))
        self.init(status)
    }

    /// A request that can't be read as it is.
    init(_ error: WireError) {
        let code: RPCError.Code =
            switch error.code {
            case .limitExceeded, .bodyTooLarge: .resourceExhausted
            case .invalidJSON, .shape, .unknownField, .invalidFeature, .versionedFeature, .noFeatures, .unequalColumns,
                .missingKey, .invalidKey, .invalidValue, .columns, .invalidTimeout:
                .invalidArgument
            }
        self.init(code, error.detail, at: error.path)
    }

    /// A request that gets no items.
    init(_ error: RecommendError) {
        let path = error.place.path
        switch error.code {
        case .unavailable: self = .overloaded(error.description, retryAfter: 1)
        case .unknownPipeline: self.init(.notFound, error.description, at: path)
        case .wrongRequest: self.init(.invalidArgument, error.description, at: path)
        case .tooLarge: self.init(.resourceExhausted, error.description, at: path)
        }
    }

    /// The same with a message that clients take, and the id of the request.
    func shortened(requestID: String) -> RPCError {
        var metadata = metadata
        metadata.addString(requestID, forKey: RequestHeaders.requestID)
        return RPCError(code: code, message: Self.cut(message), metadata: metadata)
    }

    /// The first step is a field of the message, what follows are keys of maps and elements.
    private static func field(_ path: [WireError.Step]) -> String {
        path.enumerated().map { place, step in
            switch step {
            case .element(let index): "[\(index)]"
            case .field(let name): place == 0 ? name : "[\"\(name)\"]"
            }
        }.joined()
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > longestMessage else { return text }
        return String(decoding: text.utf8.prefix(longestMessage), as: UTF8.self) + "…"
    }

    /// How a code is spelled in gRPC's own documents.
    static func name(_ code: RPCError.Code) -> String {
        switch code {
        case .cancelled: "CANCELLED"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .unauthenticated: "UNAUTHENTICATED"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .unimplemented: "UNIMPLEMENTED"
        case .internalError: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        default: "UNKNOWN"
        }
    }
}
