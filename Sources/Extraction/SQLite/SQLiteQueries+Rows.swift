import FeatureModel
import LocalDatabase

extension SQLiteQueries {
    /// An entity with its key values as SQLite binds them.
    struct KeyedEntity: Sendable {
        let key: EntityKey
        let values: [SQLiteValue]

        init(key: EntityKey, values: [SQLiteValue]) {
            self.key = key
            self.values = values
        }

        /// - Throws: `misconfigured` when the key is not one of this entity.
        init(_ key: EntityKey, types: [EntityKeyType]) throws(ExtractionError) {
            guard let values = key.values(of: types) else {
                throw ExtractionError(
                    .misconfigured, "not a key of this entity",
                    detail: "expected \(types.map(\.rawValue).joined(separator: ","))")
            }
            self.init(key: key, values: values.map(Self.bound))
        }

        private static func bound(_ value: EntityKeyValue) -> SQLiteValue {
            switch value {
            case .integer(let number): .integer(number)
            case .text(let text): .text(text)
            case .bytes(let bytes): .blob(bytes)
            }
        }
    }

    /// Adds the present rows of `entities`, which are distinct; those without a row become removals.
    func addRows(
        of entities: [KeyedEntity], to builder: inout SQLiteChunkBuilder, _ connection: SQLiteConnection
    ) throws {
        builder.ask(for: entities.map(\.key))
        var rest = entities[...]
        while let last = rest.last {
            let size = keyCount(forRemaining: rest.count)
            let part = rest.prefix(size)
            rest = rest.dropFirst(size)
            let statement = try connection.statement(rowsByKey(size))
            var index = 1
            for slot in 0..<size {
                // Unused places repeat a key, so that statements of two lengths serve every page.
                let entity = slot < part.count ? part[part.startIndex + slot] : last
                for value in entity.values {
                    try statement.bind(value, at: index)
                    index += 1
                }
            }
            while try statement.step() {
                builder.add(statement) { "by key" }
                try builder.requireRoom()
            }
        }
    }

    /// The present rows of given entities.
    func entities(_ keys: [EntityKey], _ connection: SQLiteConnection) throws -> RowChunk {
        var seen: Set<EntityKey> = []
        let types = view.entity.keyTypes
        let entities = try keys.filter { seen.insert($0).inserted }.map { try KeyedEntity($0, types: types) }
        var builder = SQLiteChunkBuilder(layout, capacity: entities.count, now: now())
        try addRows(of: entities, to: &builder, connection)
        return builder.finish()
    }

    /// The key columns of the present row of `statement`, from the first column on.
    func entity(of statement: SQLiteStatement, place: () -> String) -> Result<KeyedEntity, RowFaultError> {
        switch SQLiteConversion.key(of: statement, layout.keys) {
        case .success(let key):
            return .success(KeyedEntity(key: key, values: layout.keys.indices.map(statement.value)))
        case .failure(let fault): return .failure(RowFaultError(fault: fault.rowFault(key: nil, position: place())))
        }
    }

    /// Whether the present row of `statement`, whose first columns are keys, names no entity: a line of a table that is summed
    /// up by customer, but has none. A query with `:keys` has no row that such a line could be part of.
    func namesNobody(_ statement: SQLiteStatement) -> Bool {
        isKeyed && layout.keys.indices.contains { statement.storage($0) == .null }
    }

    /// Carries a row's fault where an error is wanted.
    struct RowFaultError: Error {
        let fault: RowFault
    }
}
