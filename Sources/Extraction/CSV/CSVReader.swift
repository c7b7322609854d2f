package import FeatureModel

/// Reads one view out of a folder of CSV files: looks whether files have changed, then reads the tables made of them.
package struct CSVReader: ViewReader {
    private let reader: SQLiteReader
    private let library: CSVLibrary

    init(_ reader: SQLiteReader, library: CSVLibrary) {
        self.reader = reader
        self.library = library
    }

    package var isExact: Bool { reader.isExact }
    package var needsRangeLoad: Bool { reader.needsRangeLoad }

    /// Runs `body` over tables that are up to the files.
    private func fresh<Result: Sendable>(
        _ body: @Sendable (SQLiteReader) async throws(ExtractionError) -> Result
    ) async throws(ExtractionError) -> Result {
        try await library.refresh()
        do {
            return try await body(reader)
        } catch {
            throw library.reason(behind: error)
        }
    }

    package func check() async throws(ExtractionError) {
        try await fresh { reader async throws(ExtractionError) in try await reader.check() }
    }

    /// The folder and the names of its files are the history: contents come and go in them.
    package func history() async throws(ExtractionError) -> SourceHistory {
        SourceHistory(identity: try library.identity(), end: nil)
    }

    package func startCursor() async throws(ExtractionError) -> ChangeCursor {
        try await fresh { reader async throws(ExtractionError) in try await reader.startCursor() }
    }

    package func readChanges(after cursor: ChangeCursor, limit: Int) async throws(ExtractionError) -> ChangePage {
        try await fresh { reader async throws(ExtractionError) in
            try await reader.readChanges(after: cursor, limit: limit)
        }
    }

    package func readRange(after: EntityKey?, limit: Int) async throws(ExtractionError) -> RangePage {
        try await fresh { reader async throws(ExtractionError) in
            try await reader.readRange(after: after, limit: limit)
        }
    }

    package func readEntities(_ keys: [EntityKey]) async throws(ExtractionError) -> RowChunk {
        try await fresh { reader async throws(ExtractionError) in try await reader.readEntities(keys) }
    }

    package func lag(behind cursor: ChangeCursor) async throws(ExtractionError) -> SourceLag {
        try await fresh { reader async throws(ExtractionError) in try await reader.lag(behind: cursor) }
    }

    package func prune(below cursor: ChangeCursor) async throws(ExtractionError) {}

    package func estimatedCount() async throws(ExtractionError) -> Int64? {
        try await fresh { reader async throws(ExtractionError) in try await reader.estimatedCount() }
    }

    package func close() async {
        await reader.close()
    }
}
