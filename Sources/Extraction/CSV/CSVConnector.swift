package import FeatureModel
import Synchronization

/// A folder of CSV files as a source: `NAME.csv` is the table `NAME` of a private SQLite database, made anew when the
/// file changes.
///
/// The first record names the columns. A column is INTEGER or REAL where all its values are, exactly, else TEXT; an empty
/// field is NULL, an empty quoted one of a TEXT column the empty text. Views are read by watermark: best effort, with
/// deletes found by the sweep. There is no change tracking.
package final class CSVConnector: SourceConnector {
    private let folder: String
    let options: SQLiteConnector.Options
    private let loadTimeout: Duration
    private let library = Mutex<CSVLibrary?>(nil)

    /// `loadTimeout` is how long the files that have changed may take to load.
    package init(
        folder: String, options: SQLiteConnector.Options = .init(), loadTimeout: Duration = .seconds(600)
    ) {
        self.folder = folder
        self.options = options
        self.loadTimeout = loadTimeout
    }

    /// Loads the files, and opens a reader of one view.
    package func open(_ view: FeatureView) async throws(ExtractionError) -> any ViewReader {
        guard case .column(let watermark) = view.source.watermark else { throw Self.untracked(view) }
        let library = try await openLibrary()
        let keys = view.entity.keys.map(\.name)
        library.want([[watermark.column] + watermark.tieBreaker, keys])
        try await library.refresh()
        return CSVReader(
            try await SQLiteReader(view, path: library.databasePath, options: options), library: library)
    }

    private static func untracked(_ view: FeatureView) -> ExtractionError {
        ExtractionError(
            .misconfigured, "CSV files have no change tracking",
            detail: "view \(view.name): name a watermark column instead of a tracked table")
    }

    func openLibrary() async throws(ExtractionError) -> CSVLibrary {
        if let library = library.withLock({ $0 }) { return library }
        let made = try await CSVLibrary(folder: folder, loadTimeout: loadTimeout)
        let (kept, surplus) = library.withLock { library -> (CSVLibrary, CSVLibrary?) in
            if let library { return (library, made) }
            library = made
            return (made, nil)
        }
        await surplus?.close()
        return kept
    }

    /// None: there is nothing to install.
    package func installStatements(for view: FeatureView) async throws(ExtractionError) -> [String] {
        guard case .column = view.source.watermark else { throw Self.untracked(view) }
        return []
    }

    /// Nothing to do, unless the view asks for tracking, which is refused.
    package func install(for view: FeatureView) async throws(ExtractionError) {
        _ = try await installStatements(for: view)
    }

    /// Reachability, files that are not CSV, and each view's columns.
    package func diagnose(_ views: [FeatureView]) async -> [SourceFinding] {
        var findings: [SourceFinding] = []
        do {
            let library = try await openLibrary()
            try await library.refresh()
            findings.append(SourceFinding(check: "files", grade: .good, text: try library.identity()))
            for (_, reason) in library.failures {
                findings.append(SourceFinding(check: "files", grade: .bad, text: reason.description))
            }
        } catch {
            return [SourceFinding(check: "files", grade: .bad, text: error.description)]
        }
        for view in views {
            do {
                let reader = try await open(view)
                try await reader.check()
                await reader.close()
                findings.append(
                    SourceFinding(
                        check: "view \(view.name)", grade: .warning,
                        text: "read by watermark: best effort; deletes are found by the sweep"))
            } catch {
                findings.append(SourceFinding(check: "view \(view.name)", grade: .bad, text: error.description))
            }
        }
        return findings
    }

    /// Deletes the private database. Readers fail from then on.
    package func close() async {
        let closing = library.withLock { library in
            defer { library = nil }
            return library
        }
        await closing?.close()
    }
}
