/// The routes of lookups.
enum LookupRoute: Int, CaseIterable {
    case lookup
    case feast

    var label: RouteLabel {
        switch self {
        case .lookup: .lookup
        case .feast: .feastLookup
        }
    }
}
