import HummingbirdCore

/// How many connections a listener may have: what the config says, or what descriptors allow, if that is less.
package enum ConnectionRoom {
    /// Descriptors that connections never get: the store, the catalog, the config and the admin listener need some, above all when
    /// things go wrong.
    private static let reserved = 128

    /// Of `limit` descriptors `open` are in use before the first connection. Where there are few, half of the rest is left to others.
    package static func connections(_ wanted: Int, limit: Int, open: Int) -> Int {
        let free = max(0, limit - open)
        return max(1, min(wanted, free - min(reserved, free / 2)))
    }
}

/// Takes connections up to a number. When there are so many, those that have been idle for longest make room for others.
struct ConnectionLimit: AvailableConnectionsDelegate {
    private let limit: Int
    private let serving: ServingContext
    private var open = 0

    init(_ limit: Int, _ serving: ServingContext) {
        self.limit = limit
        self.serving = serving
    }

    mutating func connectionOpened() {
        open += 1
        if open < limit { serving.hasRoom() }
    }

    mutating func connectionClosed() { open -= 1 }

    func isAcceptingNewConnections() -> Bool {
        guard open >= limit else { return true }
        serving.wantRoom()
        return false
    }
}
