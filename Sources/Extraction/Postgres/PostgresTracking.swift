import FeatureModel

/// What exact change tracking consists of in a PostgreSQL database, and the statements that install it.
///
/// - A column `_tidemark_xid xid8` in the tracked table, stamped with the writing transaction by a `BEFORE INSERT OR UPDATE`
///   trigger. It is null in rows older than the trigger; those are covered by the walk of a first load.
/// - An index on that column and the key columns: a page of changes is one range of it.
/// - `_tidemark_deleted`, in the table's schema, with the keys of deleted rows, the old keys of rows whose key changed,
///   and an entry without key for each `TRUNCATE`, which the reader reports as a break of the history.
///
/// Changes are read below the horizon of a snapshot, which is the whole server's: a transaction that is open in any of its
/// databases, or prepared, holds back what commits after its first write. `tidemark doctor` names it.
///
/// The triggers fire `ALWAYS`, so also where logical replication applies changes. A partition that is truncated, dropped
/// or detached by its own name fires none of them; the sweep finds what was in it.
struct PostgresTracking: Hashable, Sendable {
    let relation: TrackedRelation
    /// Of the table, in the order of the entity's keys.
    let keyColumns: [String]
    let keyTypes: [EntityKeyType]

    static let stampColumn = "_tidemark_xid"
    static let logTable = "_tidemark_deleted"
    static let stampTrigger = "zz_tidemark_stamp"

    /// Names the table and its key columns in the log of deletes: views with other keys of the same table have other entries.
    var source: String {
        "\(table)(\(keyColumns.map(PostgresIdentifier.quote).joined(separator: ",")))"
    }

    var table: String {
        "\(PostgresIdentifier.quote(relation.schema)).\(PostgresIdentifier.quote(relation.name))"
    }

    var log: String { inSchema(Self.logTable) }

    private func inSchema(_ name: String) -> String {
        "\(PostgresIdentifier.quote(relation.schema)).\(PostgresIdentifier.quote(name))"
    }

    private var digest: String {
        var print = Fingerprint()
        print.combine(source)
        for type in keyTypes { print.combine(type == .bytes ? "bytes" : "text") }
        return print.hex
    }

    var indexName: String { "tidemark_\(digest)" }
    private var deleteTrigger: String { "zz_tidemark_deleted_\(digest)" }
    private var moveTrigger: String { "zz_tidemark_moved_\(digest)" }
    private var truncateTrigger: String { "zz_tidemark_truncated_\(digest)" }

    var triggers: [String] { [Self.stampTrigger, deleteTrigger, moveTrigger, truncateTrigger] }

    /// Idempotent, in an order in which no change slips through; each is to run in a transaction of its own.
    var statements: [String] {
        [
            "ALTER TABLE \(table) ADD COLUMN IF NOT EXISTS \(Self.stampColumn) xid8",
            logDefinition,
            "CREATE INDEX IF NOT EXISTS \(Self.logTable)_order ON \(log) (source_table, xid, id)",
            "CREATE INDEX IF NOT EXISTS \(Self.logTable)_truncates ON \(log) (source_table, id) WHERE key IS NULL",
            stampFunction, logFunction, truncateFunction,
            trigger(Self.stampTrigger, "BEFORE INSERT OR UPDATE", "ROW", when: nil, function: "_tidemark_stamp"),
            trigger(deleteTrigger, "AFTER DELETE", "ROW", when: isOldComplete, function: logFunctionName),
            trigger(
                moveTrigger, "AFTER UPDATE", "ROW", when: "(\(isOldComplete)) AND (\(keyChanged))",
                function: logFunctionName),
            trigger(truncateTrigger, "AFTER TRUNCATE", "STATEMENT", when: nil, function: truncateFunctionName),
            "ALTER TABLE \(table) "
                + triggers.map { "ENABLE ALWAYS TRIGGER \(PostgresIdentifier.quote($0))" }.joined(separator: ", "),
            index,
        ]
    }

    private var logDefinition: String {
        """
        CREATE TABLE IF NOT EXISTS \(log) (id bigserial PRIMARY KEY, source_table text NOT NULL, key text[], \
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(), deleted_at timestamptz NOT NULL DEFAULT clock_timestamp())
        """
    }

    private var stampFunction: String {
        """
        CREATE OR REPLACE FUNCTION \(inSchema("_tidemark_stamp"))() RETURNS trigger LANGUAGE plpgsql AS \
        $tidemark$BEGIN NEW.\(Self.stampColumn) := pg_catalog.pg_current_xact_id(); RETURN NEW; END$tidemark$
        """
    }

    private var logFunctionName: String { "_tidemark_log_\(digest)" }
    private var truncateFunctionName: String { "_tidemark_truncate_\(digest)" }

    /// Runs with its owner's rights: who may delete a row needs none of his own on the log.
    private var logFunction: String {
        function(logFunctionName, key: "ARRAY[\(zip(keyColumns, keyTypes).map(oldKey).joined(separator: ", "))]")
    }

    private var truncateFunction: String { function(truncateFunctionName, key: "NULL") }

    private func function(_ name: String, key: String) -> String {
        """
        CREATE OR REPLACE FUNCTION \(inSchema(name))() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
        SET search_path = pg_catalog, pg_temp AS $tidemark$BEGIN INSERT INTO \(log) (source_table, key) \
        VALUES (\(PostgresIdentifier.literal(source)), \(key)); RETURN NULL; END$tidemark$
        """
    }

    private func oldKey(_ column: String, _ type: EntityKeyType) -> String {
        let old = "OLD.\(PostgresIdentifier.quote(column))"
        // Independent of the writing session's bytea_output.
        return type == .bytes ? "'\\x' || encode(\(old), 'hex')" : "\(old)::text"
    }

    /// A row without a complete key belongs to no entity.
    private var isOldComplete: String {
        keyColumns.map { "OLD.\(PostgresIdentifier.quote($0)) IS NOT NULL" }.joined(separator: " AND ")
    }

    private var keyChanged: String {
        keyColumns.map {
            "OLD.\(PostgresIdentifier.quote($0)) IS DISTINCT FROM NEW.\(PostgresIdentifier.quote($0))"
        }.joined(separator: " OR ")
    }

    private func trigger(_ name: String, _ event: String, _ level: String, when: String?, function: String) -> String {
        let condition = when.map { " WHEN (\($0))" } ?? ""
        return """
            CREATE OR REPLACE TRIGGER \(PostgresIdentifier.quote(name)) \(event) ON \(table) FOR EACH \(level)\(condition) \
            EXECUTE FUNCTION \(inSchema(function))()
            """
    }

    /// Built without keeping writers out, which can't be done in a transaction, nor on a partitioned table.
    private var index: String {
        let columns = [Self.stampColumn] + keyColumns.map(PostgresIdentifier.quote)
        let concurrently = relation.kind == "p" ? "" : "CONCURRENTLY "
        return """
            CREATE INDEX \(concurrently)IF NOT EXISTS \(PostgresIdentifier.quote(indexName)) ON \(table) \
            (\(columns.joined(separator: ", ")))
            """
    }

    /// What is not in place; empty when changes are tracked.
    var missing: [String] {
        var missing: [String] = []
        if relation.columns.type(of: Self.stampColumn) == nil { missing.append("column \(Self.stampColumn)") }
        if !relation.hasLog { missing.append("table \(log)") }
        for trigger in triggers {
            switch relation.triggers[trigger] {
            case "A": break
            case nil: missing.append("trigger \(trigger)")
            default: missing.append("trigger \(trigger) enabled ALWAYS")
            }
        }
        return missing
    }
}

extension TrackedRelation {
    /// - Throws: `schemaMismatch` when there is no such table.
    static func describe(
        _ table: TrackedTable, _ view: FeatureView, _ session: inout PostgresSession,
        _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> TrackedRelation {
        guard let parts = PostgresIdentifier.parts(ofTable: table.table),
            table.keyColumns.count == view.entity.keys.count
        else {
            throw PostgresFailure(
                .misconfigured, "the tracked table can't be read from the definition",
                detail: "view \"\(view.name)\": table \"\(table.table)\", one key column for each key of the entity")
        }
        let name = parts.map(PostgresIdentifier.quote).joined(separator: ".")
        let rows = try session.rows(catalogQuery, [name], deadline: deadline)
        guard let row = rows.first, row.count == 5, let oid = row[0].flatMap({ UInt32($0) }), let schema = row[1],
            let relation = row[2], let kind = row[3]
        else {
            throw PostgresFailure(
                .schemaMismatch, "the tracked table is missing", detail: "view \"\(view.name)\": found no table \(name)"
            )
        }
        guard kind == "r" || kind == "p" else {
            throw PostgresFailure(
                .misconfigured, "only tables can be tracked", detail: "view \"\(view.name)\": \(name) is no table")
        }
        let quoted = "\(PostgresIdentifier.quote(schema)).\(PostgresIdentifier.quote(relation))"
        let columns = try session.run("SELECT * FROM \(quoted) LIMIT 0", deadline: deadline)
        var triggers: [String: String] = [:]
        for trigger in try session.rows(
            "SELECT tgname, tgenabled FROM pg_catalog.pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal",
            [String(oid)], deadline: deadline)
        {
            if let name = trigger[0], let enabled = trigger[1] { triggers[name] = enabled }
        }
        return TrackedRelation(
            oid: oid, schema: schema, name: relation, kind: kind, columns: columns, triggers: triggers,
            hasLog: row[4] == "t")
    }

    private static let catalogQuery = """
        SELECT c.oid, n.nspname, c.relname, c.relkind, \
        EXISTS (SELECT 1 FROM pg_catalog.pg_class l WHERE l.relnamespace = n.oid AND l.relname = '_tidemark_deleted') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.oid = pg_catalog.to_regclass($1)
        """

    /// - Throws: `schemaMismatch` about its key columns, `notInstalled` when changes are not tracked.
    func validate(_ table: TrackedTable, _ view: FeatureView, _ check: ShapeCheck) throws(PostgresFailure) {
        try check.keys(table.keyColumns, in: columns, of: "tracked table")
        let tracking = PostgresTracking(relation: self, keyColumns: table.keyColumns, keyTypes: view.entity.keyTypes)
        let missing = tracking.missing
        guard missing.isEmpty else {
            throw PostgresFailure(
                .notInstalled, "change tracking is not installed",
                detail: "view \"\(view.name)\", table \(tracking.table): missing \(missing.joined(separator: ", ")); "
                    + "run `tidemark source install \(view.name)`")
        }
    }
}
