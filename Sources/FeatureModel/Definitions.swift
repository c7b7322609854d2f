/// A kind of thing that features describe: its name and its key columns, in order.
package struct Entity: Hashable, Sendable {
    /// One key column.
    package struct Key: Hashable, Sendable {
        package let name: String
        package let type: EntityKeyType

        package init(name: String, type: EntityKeyType) {
            self.name = name
            self.type = type
        }
    }

    package let name: String
    package let keys: [Key]

    package init(name: String, keys: [Key]) {
        self.name = name
        self.keys = keys
    }

    /// The types of the key columns, in order.
    package var keyTypes: [EntityKeyType] { keys.map(\.type) }
}

/// One feature of a view.
package struct Feature: Hashable, Sendable {
    package let name: String
    package let type: FeatureType
    /// Stands in where no usable value is stored; `nil` for none.
    package let defaultValue: FeatureValue?
    package let contract: FeatureContract

    package init(
        name: String, type: FeatureType, defaultValue: FeatureValue? = nil, contract: FeatureContract = .init()
    ) {
        self.name = name
        self.type = type
        self.defaultValue = defaultValue
        self.contract = contract
    }
}

/// What a value of a feature must satisfy. A violating row goes to quarantine.
package struct FeatureContract: Hashable, Sendable {
    /// `false` makes `null` a violation.
    package var nullable = true
    /// Inclusive bounds, for numbers; timestamps in microseconds since 1970.
    package var minimum: Double?
    package var maximum: Double?
    /// The only values allowed, `null` apart; empty for any.
    package var oneOf: [FeatureValue] = []
    /// The longest string, bytes or list allowed: bytes of UTF-8, bytes, or elements.
    package var maximumLength: Int?
    /// The share of nulls, `0...1`, above which a run is in breach.
    package var maximumNullRate: Double?

    package init() {}
}

/// What a view's rows together must satisfy.
package struct ViewContract: Hashable, Sendable {
    /// What happens when a rate is breached.
    package enum BreachAction: String, CaseIterable, Sendable {
        /// The run goes on; the breach is counted and reported.
        case warn
        /// The view stops before the chunk in breach is written; its watermark stays.
        case stop
    }

    /// The share of quarantined rows, `0...1`, above which a run is in breach.
    package var maximumQuarantineRate = 0.05
    /// The share, `0...1`, by which a full load or sweep may change the number of rows; `nil` for any.
    package var maximumRowCountChange: Double?
    package var onBreach = BreachAction.stop

    package init() {}
}

/// A time column and how an integer in it counts.
package struct TimeColumn: Hashable, Sendable {
    /// What an integer in the column counts since 1970.
    package enum Unit: String, CaseIterable, Sendable {
        case seconds = "s"
        case milliseconds = "ms"
        case microseconds = "us"

        /// Microseconds in one of this unit.
        package var microseconds: Int64 {
            switch self {
            case .seconds: 1_000_000
            case .milliseconds: 1_000
            case .microseconds: 1
            }
        }
    }

    package let column: String
    /// `nil` where the column is a timestamp or RFC 3339 text.
    package let unit: Unit?

    package init(column: String, unit: Unit? = nil) {
        self.column = column
        self.unit = unit
    }
}

/// How changed rows are found.
package enum Watermark: Hashable, Sendable {
    /// Exact: what `tidemark source install` set up. SQLite: a log filled by triggers. PostgreSQL: an `xid8` stamp.
    case tracked(TrackedTable)
    /// By a column of the query (of `changes` where there is one). Best effort on PostgreSQL; labelled so.
    case column(WatermarkColumn)
}

/// The table whose changes are tracked, and the columns of it that name the entity.
package struct TrackedTable: Hashable, Sendable {
    package let table: String
    /// One for each key of the entity, in its order.
    package let keyColumns: [String]

    package init(table: String, keyColumns: [String]) {
        self.table = table
        self.keyColumns = keyColumns
    }
}

/// A watermark column with its tie-breakers and margins.
package struct WatermarkColumn: Hashable, Sendable {
    package let column: String
    /// Set where the column is an integer time. Without it an integer column is a plain increasing sequence.
    package let unit: TimeColumn.Unit?
    /// Columns that, behind the watermark column, make the reading order total. Not empty.
    package let tieBreaker: [String]
    /// Rows younger than this by the source's clock are left for the next run. Only for times.
    package let settle: Duration
    /// How far behind the watermark each run starts reading again. For times.
    package let lookback: Duration
    /// How far behind the watermark each run starts reading again. For sequences.
    package let lookbackCount: Int64

    package init(
        column: String, unit: TimeColumn.Unit? = nil, tieBreaker: [String], settle: Duration = .zero,
        lookback: Duration = .zero, lookbackCount: Int64 = 0
    ) {
        self.column = column
        self.unit = unit
        self.tieBreaker = tieBreaker
        self.settle = settle
        self.lookback = lookback
        self.lookbackCount = lookbackCount
    }
}

/// Where a view's rows come from.
package struct ViewSource: Hashable, Sendable {
    /// The name of a source in the config.
    package let from: String
    /// A SELECT that returns the entity's key columns, the features and the columns named below.
    /// With `:keys` it is a feature query of given entities.
    package let query: String
    /// A SELECT of entity keys and the watermark column: which entities' features may have changed.
    package let changes: String?
    /// A SELECT of all entity keys, for first loads and sweeps of a `:keys` view. Default: the keys of `changes`.
    package let entities: String?
    package let watermark: Watermark
    package let eventTime: TimeColumn?
    /// A column that is true (not null, not 0, not false, not empty) in rows that are deleted.
    package let deleted: String?

    package init(
        from: String, query: String, changes: String? = nil, entities: String? = nil, watermark: Watermark,
        eventTime: TimeColumn? = nil, deleted: String? = nil
    ) {
        self.from = from
        self.query = query
        self.changes = changes
        self.entities = entities
        self.watermark = watermark
        self.eventTime = eventTime
        self.deleted = deleted
    }

    /// Whether the query computes given entities (`:keys`) instead of listing all of them.
    package var isKeyed: Bool { query.contains(":keys") }
}

/// A feature view: rows of features for one entity, kept in step with one source.
package struct FeatureView: Hashable, Sendable {
    /// What happens when a new version has been built.
    package enum Activation: String, CaseIterable, Sendable {
        case automatic
        case manual
    }

    package let name: String
    /// Stands for the view in row keys; the view's name where the definition gives none.
    package let key: String
    package let entity: Entity
    package let source: ViewSource
    package let every: Duration
    /// How long a row stays in the store when nothing writes or renews it.
    package let ttl: Duration
    /// Rows whose event is older read as `OUTSIDE_MAX_AGE`; `nil` for no limit.
    package let maxAge: Duration?
    /// How often the sweep walks the source: at most half the `ttl`.
    package let sweep: Duration
    /// In the order of the definition, which is the order in the packed row.
    package let features: [Feature]
    package let contract: ViewContract
    package let activation: Activation
    /// How long the version before the current one goes on being synced, ready for a rollback.
    package let keepPrevious: Duration

    package init(
        name: String, key: String? = nil, entity: Entity, source: ViewSource, every: Duration, ttl: Duration,
        maxAge: Duration? = nil, sweep: Duration, features: [Feature], contract: ViewContract = .init(),
        activation: Activation = .automatic, keepPrevious: Duration = .seconds(86_400)
    ) {
        self.name = name
        self.key = key ?? name
        self.entity = entity
        self.source = source
        self.every = every
        self.ttl = ttl
        self.maxAge = maxAge
        self.sweep = sweep
        self.features = features
        self.contract = contract
        self.activation = activation
        self.keepPrevious = keepPrevious
    }
}

/// A named list of features that a model reads together.
package struct FeatureService: Hashable, Sendable {
    package let name: String
    package let features: [FeatureReference]

    package init(name: String, features: [FeatureReference]) {
        self.name = name
        self.features = features
    }
}

/// One feature of one view, written `view:feature`.
package struct FeatureReference: Hashable, Sendable {
    package let view: String
    package let feature: String

    package init(view: String, feature: String) {
        self.view = view
        self.feature = feature
    }
}

/// Everything a project defines: validated, immutable.
package struct Catalog: Hashable, Sendable {
    package let project: String
    /// By name, in the order of the definitions.
    package let views: [FeatureView]
    package let services: [FeatureService]

    package init(project: String, views: [FeatureView], services: [FeatureService]) {
        self.project = project
        self.views = views
        self.services = services
    }

    /// The view of that name, if there is one.
    package func view(_ name: String) -> FeatureView? {
        views.first { $0.name == name }
    }

    /// The service of that name, if there is one.
    package func service(_ name: String) -> FeatureService? {
        services.first { $0.name == name }
    }
}
