/// Runs of views that somebody asks for ahead of their turn. `tidemark sync` looks for them every few seconds.
///
/// One field a view in a collection: view → when it was asked for. A request stays until a run that began behind it succeeds.
package struct RunRequests: Sendable {
    private let store: any OnlineStore
    private static let collection = "runs"
    /// The most views that may be asked for at a time.
    package static let limit = 10_000

    package init(_ store: any OnlineStore) {
        self.store = store
    }

    /// Asks for a run of each view. `now` is in microseconds since 1970.
    package func add(_ views: [String], at now: Int64) async throws(StoreError) {
        guard !views.isEmpty else { return }
        let stamp = Array("\(now)".utf8)
        let fields = Dictionary(views.map { ($0, stamp) }, uniquingKeysWith: { first, _ in first })
        guard try await store.put(fields, into: Self.collection, limit: Self.limit) else {
            throw StoreError(.tooLarge, "too many views are asked for")
        }
    }

    /// When a run of the view was asked for, as it was stamped; `nil` when nobody did.
    package func stamp(of view: String) async throws(StoreError) -> [UInt8]? {
        try await store.values(of: [view], in: Self.collection).first ?? nil
    }

    /// Takes a request away unless a later one has come.
    package func finish(_ view: String, _ stamp: [UInt8]) async throws(StoreError) {
        guard try await self.stamp(of: view) == stamp else { return }
        try await store.removeFields([view], from: Self.collection)
    }
}
