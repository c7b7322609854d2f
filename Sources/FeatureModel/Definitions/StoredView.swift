/// The form of a view in its document. Times are whole microseconds. The names of the keys are promised to stay.
struct StoredView: Codable {
    struct Key: Codable {
        var name: String
        var type: EntityKeyType
    }

    struct Stored: Codable {
        var name: String
        var type: String
        var standIn: StoredValue?
        var nullable: Bool
        var minimum: Double?
        var maximum: Double?
        var oneOf: [StoredValue]
        var maximumLength: Int?
        var maximumNullRate: Double?
    }

    struct Time: Codable {
        var column: String
        var unit: String?
    }

    struct Mark: Codable {
        var table: String?
        var keyColumns: [String]?
        var column: String?
        var unit: String?
        var tieBreaker: [String]?
        var settle: Int64?
        var lookback: Int64?
        var lookbackCount: Int64?
    }

    var format: Int
    var name: String
    var key: String
    var entity: String
    var entityKeys: [Key]
    var from: String
    var query: String
    var changes: String?
    var entities: String?
    var watermark: Mark
    var eventTime: Time?
    var deleted: String?
    var every: Int64
    var ttl: Int64
    var maxAge: Int64?
    var sweep: Int64
    var features: [Stored]
    var maximumQuarantineRate: Double
    var maximumRowCountChange: Double?
    var onBreach: String
    var activation: String
    var keepPrevious: Int64
}

extension StoredView {
    init(_ view: FeatureView) {
        format = ViewDocument.format
        name = view.name
        key = view.key
        entity = view.entity.name
        entityKeys = view.entity.keys.map { Key(name: $0.name, type: $0.type) }
        from = view.source.from
        query = view.source.query
        changes = view.source.changes
        entities = view.source.entities
        watermark = Mark(view.source.watermark)
        eventTime = view.source.eventTime.map { Time(column: $0.column, unit: $0.unit?.rawValue) }
        deleted = view.source.deleted
        every = view.every.wholeMicroseconds
        ttl = view.ttl.wholeMicroseconds
        maxAge = view.maxAge?.wholeMicroseconds
        sweep = view.sweep.wholeMicroseconds
        features = view.features.map(Stored.init)
        maximumQuarantineRate = view.contract.maximumQuarantineRate
        maximumRowCountChange = view.contract.maximumRowCountChange
        onBreach = view.contract.onBreach.rawValue
        activation = view.activation.rawValue
        keepPrevious = view.keepPrevious.wholeMicroseconds
    }

    func view() throws(ViewDocument.DecodingFailure) -> FeatureView {
        var contract = ViewContract()
        contract.maximumQuarantineRate = maximumQuarantineRate
        contract.maximumRowCountChange = maximumRowCountChange
        contract.onBreach = try Self.word(onBreach, "onBreach")
        var features: [Feature] = []
        for stored in self.features { features.append(try stored.feature()) }
        guard !features.isEmpty, !entityKeys.isEmpty, !key.isEmpty else {
            throw Self.failure("features, entityKeys or key")
        }
        let source = ViewSource(
            from: from, query: query, changes: changes, entities: entities, watermark: try watermark.watermark(),
            eventTime: try eventTime?.timeColumn(), deleted: deleted)
        return FeatureView(
            name: name, key: key,
            entity: Entity(name: entity, keys: entityKeys.map { Entity.Key(name: $0.name, type: $0.type) }),
            source: source, every: try Self.time(every, "every"), ttl: try Self.time(ttl, "ttl"),
            maxAge: try maxAge.map { micros throws(ViewDocument.DecodingFailure) in try Self.time(micros, "maxAge") },
            sweep: try Self.time(sweep, "sweep"), features: features, contract: contract,
            activation: try Self.word(activation, "activation"),
            keepPrevious: try Self.time(keepPrevious, "keepPrevious"))
    }

    static func failure(_ place: String) -> ViewDocument.DecodingFailure {
        ViewDocument.DecodingFailure(description: "not a view document: wrong at \(place)")
    }

    static func word<Word: RawRepresentable<String>>(
        _ text: String, _ place: String
    ) throws(ViewDocument.DecodingFailure) -> Word {
        guard let word = Word(rawValue: text) else { throw failure(place) }
        return word
    }

    /// Refuses negative times and those beyond a thousand years.
    static func time(_ microseconds: Int64, _ place: String) throws(ViewDocument.DecodingFailure) -> Duration {
        guard (0...32_000_000_000_000_000).contains(microseconds) else { throw failure(place) }
        return .microseconds(microseconds)
    }
}

extension StoredView.Time {
    func timeColumn() throws(ViewDocument.DecodingFailure) -> TimeColumn {
        guard let unit else { return TimeColumn(column: column) }
        return TimeColumn(column: column, unit: try StoredView.word(unit, "eventTime.unit"))
    }
}

extension StoredView.Mark {
    init(_ watermark: Watermark) {
        switch watermark {
        case .tracked(let table):
            self.table = table.table
            keyColumns = table.keyColumns
        case .column(let mark):
            column = mark.column
            unit = mark.unit?.rawValue
            tieBreaker = mark.tieBreaker
            settle = mark.settle.wholeMicroseconds
            lookback = mark.lookback.wholeMicroseconds
            lookbackCount = mark.lookbackCount
        }
    }

    func watermark() throws(ViewDocument.DecodingFailure) -> Watermark {
        if let table, let keyColumns, !keyColumns.isEmpty, column == nil {
            return .tracked(TrackedTable(table: table, keyColumns: keyColumns))
        }
        guard let column, let tieBreaker, !tieBreaker.isEmpty, table == nil, let lookbackCount, lookbackCount >= 0
        else {
            throw StoredView.failure("watermark")
        }
        var known: TimeColumn.Unit?
        if let unit { known = try StoredView.word(unit, "watermark.unit") }
        return .column(
            WatermarkColumn(
                column: column, unit: known, tieBreaker: tieBreaker,
                settle: try StoredView.time(settle ?? 0, "watermark.settle"),
                lookback: try StoredView.time(lookback ?? 0, "watermark.lookback"), lookbackCount: lookbackCount))
    }
}

extension StoredView.Stored {
    init(_ feature: Feature) {
        name = feature.name
        type = feature.type.spelling
        standIn = feature.defaultValue.map(StoredValue.init)
        nullable = feature.contract.nullable
        minimum = feature.contract.minimum
        maximum = feature.contract.maximum
        oneOf = feature.contract.oneOf.map(StoredValue.init)
        maximumLength = feature.contract.maximumLength
        maximumNullRate = feature.contract.maximumNullRate
    }

    func feature() throws(ViewDocument.DecodingFailure) -> Feature {
        guard let type = FeatureType(spelling: type) else { throw StoredView.failure("features.\(name).type") }
        var contract = FeatureContract()
        contract.nullable = nullable
        contract.minimum = minimum
        contract.maximum = maximum
        contract.maximumLength = maximumLength
        contract.maximumNullRate = maximumNullRate
        contract.oneOf = oneOf.map(\.value)
        let values = contract.oneOf + (standIn.map { [$0.value] } ?? [])
        guard values.allSatisfy({ $0.matches(type) }) else { throw StoredView.failure("features.\(name)") }
        return Feature(name: name, type: type, defaultValue: standIn?.value, contract: contract)
    }
}
