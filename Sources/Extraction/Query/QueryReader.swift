package import FeatureModel

/// A source that runs any query, beside the views that are read from it.
package protocol QuerySource: Sendable {
    /// Starts a query on a connection of its own and checks its columns; rows are read by the reader's `next`.
    ///
    /// - Throws: `schemaMismatch` naming column, expected and found; `misconfigured` for what is no query.
    func open(_ query: SourceQuery) async throws(ExtractionError) -> any QueryReader
}

/// Reads the rows of one query page by page, forwards, once. Calls come one at a time.
///
/// All pages are of one snapshot of the source, which is held from `open` to the last page or `close`: a reader that is
/// left alone for long keeps the source from cleaning up behind it (PostgreSQL ends it after twice the page timeout).
/// Cancelling the calling task ends a running call; nothing but `close` is of use then.
package protocol QueryReader: Sendable {
    /// The names of all columns that the query returns, in its order.
    var columnNames: [String] { get }

    /// The next rows, at most `limit`; fewer where they are large.
    ///
    /// - Throws: `deadlineExceeded` past the query's page timeout, `unavailable` when it was cancelled or closed.
    func next(limit: Int) async throws(ExtractionError) -> QueryPage

    /// Interrupts a running call, and closes the connection.
    func close() async
}

/// A query of one source and the columns wanted of its result.
package struct SourceQuery: Hashable, Sendable {
    /// Whose query it is, for messages: `recall list "popular"`.
    package let owner: String
    /// One SELECT without parameters.
    package let sql: String
    /// The columns of a page's rows, in their order. Others that the query returns are not read.
    package let columns: [QueryColumn]
    /// How long starting, and each page, may take; the source's statement timeout where `nil`.
    package let pageTimeout: Duration?

    package init(owner: String, sql: String, columns: [QueryColumn], pageTimeout: Duration? = nil) {
        self.owner = owner
        self.sql = sql
        self.columns = columns
        self.pageTimeout = pageTimeout
    }
}

/// A column that is read from a query's result.
package struct QueryColumn: Hashable, Sendable {
    /// How its values are read.
    package enum Kind: Hashable, Sendable {
        /// As a feature of that type is: lossless, or a fault.
        case value(FeatureType)
        /// As a time: a timestamp, RFC 3339 text, or an integer that counts the unit. Read as `.timestamp`.
        case time(TimeColumn.Unit?)
        /// Texts, integers and booleans alike, read as `.string`: for labels and segments.
        case label
    }

    package let name: String
    package let kind: Kind
    /// Whether null is a value; else a row with null is a fault.
    package let isNullable: Bool

    package init(_ name: String, _ kind: Kind, isNullable: Bool = false) {
        self.name = name
        self.kind = kind
        self.isNullable = isNullable
    }

    /// What is expected of the column, for people.
    var expected: String {
        switch kind {
        case .value(let type): type.spelling
        case .time(nil): "a timestamp"
        case .time: "an integer"
        case .label: "text, an integer or a boolean"
        }
    }
}

/// Rows of a query.
package struct QueryPage: Sendable {
    /// How many values a row has.
    package let width: Int
    /// Row by row, in the order of the query's wanted columns.
    package internal(set) var values: [FeatureValue] = []
    /// Rows left out because a column is not what was wanted; the first `faultLimit` of the page.
    package internal(set) var faults: [RowFault] = []
    /// How many rows were left out.
    package internal(set) var faultCount = 0
    /// Whether nothing follows.
    package internal(set) var isLast = false

    /// How many faults a page lists.
    package static let faultLimit = 20
    /// A page ends behind the row that brings it to so many bytes of texts, bytes and lists.
    static let byteLimit = 32 << 20
    /// The most rows of a page, whatever its caller wants.
    static let rowLimit = 100_000

    init(width: Int) {
        self.width = width
    }

    /// How many rows there are.
    package var rowCount: Int { width == 0 ? 0 : values.count / width }

    /// The values of a row, from 0.
    package func row(_ index: Int) -> ArraySlice<FeatureValue> { values[index * width..<(index + 1) * width] }

    /// Leaves the row out whose values begin at `start`.
    mutating func refuse(_ fault: RowFault, rowAt start: Int) {
        values.removeSubrange(start...)
        faultCount += 1
        if faults.count < Self.faultLimit { faults.append(fault) }
    }
}

extension QueryColumn {
    /// Finds each wanted column among those that a query returns.
    ///
    /// - Throws: `schemaMismatch` for one that isn't there, or is there twice.
    static func places(
        of wanted: [QueryColumn], among names: [String], owner: String
    ) throws(ExtractionError) -> [Int] {
        var places: [Int] = []
        for column in wanted {
            guard let place = names.firstIndex(of: column.name) else {
                let nearest = PostgresIdentifier.nearest(to: column.name, among: names)
                let hint = nearest.isEmpty ? "" : "; near to it: \(nearest.joined(separator: ", "))"
                throw ExtractionError(
                    .schemaMismatch, "a column is missing",
                    detail: "\(owner), column \"\(column.name)\": expected \(column.expected), found none\(hint)")
            }
            guard names.lastIndex(of: column.name) == place else {
                throw ExtractionError(
                    .schemaMismatch, "a column appears twice", detail: "\(owner), column \"\(column.name)\"")
            }
            places.append(place)
        }
        return places
    }
}

extension ExtractionError {
    /// Runs a call of a query reader so that the task's cancellation interrupts it.
    static func interrupting<Result: Sendable>(
        _ owner: String, by interrupt: @Sendable @escaping () -> Void,
        _ body: () async throws -> Result
    ) async throws(ExtractionError) -> Result {
        do {
            return try await withTaskCancellationHandler(operation: body, onCancel: interrupt)
        } catch {
            if Task.isCancelled { throw ExtractionError(.unavailable, "the query was cancelled", detail: owner) }
            throw ExtractionError(any: error, while: owner)
        }
    }
}
