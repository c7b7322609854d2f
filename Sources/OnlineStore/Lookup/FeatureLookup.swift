import FeatureModel
package import NIOCore

/// Reads features of entities out of any online store.
package struct FeatureLookup: Sendable {
    private let store: any OnlineStore

    package init(_ store: any OnlineStore) {
        self.store = store
    }

    /// Reads the rows of a request. A view that can't be read is a failure in the rows, not an error.
    package func read(_ plan: LookupPlan, _ keys: LookupKeys) async -> PackedRows {
        var rows = PackedRows(count: keys.rowCount)
        for index in plan.parts.indices {
            do {
                let packed = try await read(part: index, of: plan, keys)
                for (entity, row) in packed.enumerated() { rows.set(index * keys.entityCount + entity, row) }
            } catch {
                rows.fail(part: index, reason: "\(error)")
            }
        }
        return rows
    }

    /// Reads the rows of one view of a plan, one element for each entity.
    package func read(
        part: Int, of plan: LookupPlan, _ keys: LookupKeys
    ) async throws(StoreError) -> [[UInt8]?] {
        try await store.read(keys.entityKeys(of: part, in: plan), in: plan.parts[part].space)
    }

    /// Looks up every feature of the plan for every entity, as values. What fails is a status in the answer, not an error.
    ///
    /// `now` is in microseconds since 1970, for ages. Throws when the entities don't fit the plan.
    package func lookup(
        _ plan: LookupPlan, entities: EntityColumns, now: Int64
    ) async throws(LookupError) -> LookupAnswer {
        let keys = try LookupKeys(plan, entities)
        var rows = await read(plan, keys)
        return LookupAnswer(plan, keys, &rows, now: now)
    }

    /// The body of `/v1/lookup`, appended to `buffer`. Returns the views that could not be read, with the reason.
    package func body(
        _ plan: LookupPlan, entities: EntityColumns, now: Int64, ages: Bool, into buffer: inout ByteBuffer
    ) async throws(LookupError) -> [String: String] {
        let keys = try LookupKeys(plan, entities)
        var rows = await read(plan, keys)
        try LookupEncoder.lookup(plan, keys, &rows, now: now, ages: ages, into: &buffer)
        return rows.failures(in: plan)
    }
}
