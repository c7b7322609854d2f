extension CSVConnector: QuerySource {
    /// Loads the files that have changed, and queries the tables made of them.
    package func open(_ query: SourceQuery) async throws(ExtractionError) -> any QueryReader {
        let library = try await openLibrary()
        try await library.refresh()
        do {
            return try await SQLiteQueryReader(query, path: library.databasePath, options: options)
        } catch {
            throw library.reason(behind: error)
        }
    }
}
