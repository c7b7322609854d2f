import FeatureModel

/// Reads rows that start with `PostgresStatements.rowColumns`.
struct PostgresRowReader: Sendable {
    private struct Part<Conversion: Sendable>: Sendable {
        let name: String
        let convert: Conversion
    }

    private let keys: [Part<PostgresKeyConversion>]
    private let features: [Part<PostgresConversion>]
    private let eventTime: Part<PostgresTimeConversion>?
    private let deleted: PostgresType.Kind?
    /// The oids that the conversions were made for.
    private let oids: [UInt32]
    private let placeholder: [FeatureValue]

    /// - Returns: `nil` for a shape that was not validated.
    init?(_ statements: PostgresStatements) {
        let view = statements.view
        let shape = statements.shape
        var oids: [UInt32] = []
        func type(_ name: String) -> PostgresType? {
            guard let type = shape.query.type(of: name).flatMap({ shape.types[$0] }) else { return nil }
            oids.append(type.oid)
            return type
        }
        keys = view.entity.keys.compactMap { key in
            type(key.name).flatMap { PostgresKeyConversion($0, to: key.type) }.map { Part(name: key.name, convert: $0) }
        }
        features = view.features.compactMap { feature in
            type(feature.name)
                .flatMap { PostgresConversion($0, elements: shape.types, to: feature.type) }
                .map { Part(name: feature.name, convert: $0) }
        }
        if let time = view.source.eventTime {
            eventTime = type(time.column)
                .flatMap { PostgresTimeConversion($0, unit: time.unit) }
                .map { Part(name: time.column, convert: $0) }
        } else {
            eventTime = nil
        }
        deleted = view.source.deleted.flatMap { type($0)?.kind }
        self.oids = oids
        placeholder = [FeatureValue](repeating: .null, count: view.features.count)
        guard oids.count == statements.rowColumns.count, keys.count == view.entity.keys.count,
            features.count == view.features.count
        else { return nil }
    }

    /// How many columns of a row this reads; others may follow.
    var columnCount: Int { oids.count }

    /// Of the entity's keys.
    var keyConversions: [PostgresKeyConversion] { keys.map(\.convert) }

    /// An empty collector for the rows.
    var collector: RowCollector { RowCollector(width: features.count, hasEventTime: eventTime != nil) }

    /// - Throws: A schema mismatch when a row's columns are of other types than when the view was checked.
    func verify(_ row: borrowing PostgresResult) throws(PostgresFailure) {
        for (column, oid) in oids.enumerated() where row.type(column) != oid {
            throw PostgresFailure(
                .schemaMismatch, "a column has another type", detail: "column \"\(row.name(column))\"")
        }
    }

    /// The entity of a row, or the fault in its key.
    func key(_ row: borrowing PostgresResult, position: @autoclosure () -> String) -> Result<EntityKey, RowFaultError> {
        var values: [EntityKeyValue] = []
        for (column, part) in keys.enumerated() {
            do {
                values.append(try part.convert.value(row.cell(column)))
            } catch {
                return .failure(RowFaultError(fault(error, nil, part.name, position())))
            }
        }
        guard let key = EntityKey(values) else {
            let fault = CellFault("too_large", "the key is longer than \(EntityKey.maximumBytes) bytes")
            return .failure(RowFaultError(self.fault(fault, nil, keys[0].name, position())))
        }
        return .success(key)
    }

    /// Reads a row of an entity into a collector.
    func read(
        _ row: borrowing PostgresResult, of key: EntityKey, into collector: inout RowCollector,
        position: @autoclosure () -> String
    ) {
        var column = keys.count + features.count
        var time: Int64?
        if let eventTime {
            do {
                time = try eventTime.convert.value(row.cell(column))
            } catch {
                return collector.add(fault(error, key, eventTime.name, position()))
            }
            column += 1
        }
        if let deleted, deleted.isTrue(row.cell(column)) {
            return collector.add(key, eventTime: time, isDeleted: true, row: placeholder)
        }
        var values: [FeatureValue] = []
        values.reserveCapacity(features.count)
        for (index, part) in features.enumerated() {
            do {
                values.append(try part.convert.value(row.cell(keys.count + index)))
            } catch {
                return collector.add(fault(error, key, part.name, position()))
            }
        }
        collector.add(key, eventTime: time, isDeleted: false, row: values)
    }

    private func fault(_ fault: CellFault, _ key: EntityKey?, _ column: String, _ position: String) -> RowFault {
        RowFault(
            key: key, column: column, rule: fault.rule.description, reason: fault.reason, position: position)
    }
}

/// A row's fault where a `Result` wants an error.
struct RowFaultError: Error {
    let fault: RowFault

    init(_ fault: RowFault) {
        self.fault = fault
    }
}
