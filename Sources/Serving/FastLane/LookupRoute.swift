/// The routes that the fast lane answers.
enum LookupRoute: Int, CaseIterable {
    case lookup
    case feast

    init?(path: String) {
        switch path {
        case "/v1/lookup": self = .lookup
        case "/get-online-features": self = .feast
        default:
            // A query means nothing here, but it is allowed to be there.
            guard let mark = path.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
            self.init(path: String(path[..<mark]))
        }
    }

    var label: RouteLabel {
        switch self {
        case .lookup: .lookup
        case .feast: .feastLookup
        }
    }
}
