package import OnlineStore

/// Where rows are read.
package protocol RowSource: Sendable {
    /// Whether `read` ends by its deadline whatever the store does, so that nobody need watch over it.
    var endsInTime: Bool { get }
    /// The rows of all views of a plan. What comes after `deadline` is not looked at.
    func read(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows
    /// The same on another connection, while `read` is still out.
    func readAgain(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows
}

extension RowSource {
    /// For stores whose client shares out its connections itself.
    package func readAgain(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows {
        try await read(plan, keys, deadline: deadline)
    }
}

extension RowSource {
    package var endsInTime: Bool { false }
}

/// Rows through the calls of any store, all views at once.
package struct StoreRows: RowSource {
    private let lookup: FeatureLookup

    package init(_ store: any OnlineStore) {
        lookup = FeatureLookup(store)
    }

    package func read(
        _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
    ) async throws(StoreError) -> PackedRows {
        var rows = PackedRows(count: keys.rowCount)
        for (part, packed) in try await parts(plan, keys) {
            for (entity, row) in packed.enumerated() { rows.set(part * keys.entityCount + entity, row) }
        }
        return rows
    }

    private typealias Part = Result<(Int, [[UInt8]?]), StoreError>

    private func parts(_ plan: LookupPlan, _ keys: LookupKeys) async throws(StoreError) -> [(Int, [[UInt8]?])] {
        let lookup = lookup
        let results = await withTaskGroup(of: Part.self, returning: [Part].self) { group in
            for part in plan.views.indices {
                group.addTask {
                    do throws(StoreError) {
                        return .success((part, try await lookup.read(part: part, of: plan, keys)))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            var results: [Part] = []
            for await result in group { results.append(result) }
            return results
        }
        var parts: [(Int, [[UInt8]?])] = []
        for result in results { parts.append(try result.get()) }
        return parts
    }
}
