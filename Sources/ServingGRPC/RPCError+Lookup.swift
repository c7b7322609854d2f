import GRPCCore
import OnlineStore

extension RPCError {
    /// A lookup that can't be answered as it is.
    init(_ error: LookupError) {
        switch error.code {
        case .unknownFeature: self.init(code: .notFound, message: error.description)
        case .nameCollision, .wrongRequest: self.init(code: .invalidArgument, message: error.description)
        case .tooLarge: self.init(code: .resourceExhausted, message: error.description)
        }
    }

    static func invalid(_ words: String) -> RPCError { RPCError(code: .invalidArgument, message: words) }

    static func tooLarge(_ words: String) -> RPCError { RPCError(code: .resourceExhausted, message: words) }

    /// The time of the call is over.
    static var late: RPCError { RPCError(code: .deadlineExceeded, message: "the time of the call was over") }
}
