/// Limits and deadlines of a PostgreSQL source.
package struct PostgresOptions: Sendable {
    /// How long a connection may take to come up. A host's name is resolved by the system before that.
    package var connectTimeout = Duration.seconds(5)
    /// How long a statement may run: the server's `statement_timeout`. A whole call has a second more.
    package var statementTimeout = Duration.seconds(30)
    /// How long a statement may wait for a lock.
    package var lockTimeout = Duration.seconds(5)
    /// How long one statement of `install` may run: an index on a large table takes its time.
    package var installTimeout = Duration.seconds(3_600)
    /// What `pg_stat_activity` shows, unless the URL names another.
    package var applicationName = "tidemark"
    /// How long tracked deletes are kept after they were read. Views share a table's log: one that was away for longer
    /// finds deletes by its sweep.
    package var changeRetention = Duration.seconds(7 * 86_400)
    /// The most bytes of cells that one statement may return.
    package var maximumResultBytes = 256 << 20

    package init() {}
}
