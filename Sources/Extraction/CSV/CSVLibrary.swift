import FeatureModel
import Glibc
import LocalDatabase
import Synchronization

/// The CSV files of a folder as tables of a private SQLite database, in a temporary folder that goes with `close`.
///
/// A table is made anew, in one transaction, when its file's inode, size or time of change is another. A file that is not
/// CSV has no table, and the reason is kept for whoever asks for it.
final class CSVLibrary: Sendable {
    private struct State {
        var stamps: [String: CSVFile.Stamp] = [:]
        var failures: [String: ExtractionError] = [:]
        var indexes: [[String]] = []
        /// Counts the changes of `indexes`: tables made before the last one are made anew.
        var hasNewIndexes = false
    }

    /// The folder of the CSV files.
    let folder: String
    private let temporaryFolder: String
    private let database: LocalDatabase
    private let loadTimeout: Duration
    private let state = Mutex(State())

    /// Where the database is.
    var databasePath: String { temporaryFolder + "/tables.db" }

    /// The most CSV files of one folder.
    static let maximumFiles = 500

    init(folder: String, loadTimeout: Duration) async throws(ExtractionError) {
        self.folder = folder
        self.loadTimeout = loadTimeout
        temporaryFolder = try Self.makeTemporaryFolder()
        let path = temporaryFolder + "/tables.db"
        do {
            // Everything in it can be made again: no syncing.
            database = try await LocalDatabase(
                .init(path: path, setup: "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF"))
        } catch {
            Self.remove(temporaryFolder)
            throw ExtractionError(error, while: path)
        }
    }

    deinit { Self.remove(temporaryFolder) }

    func close() async {
        database.interrupt()
        await database.close()
        Self.remove(temporaryFolder)
    }

    /// Makes tables have indexes over these columns, where they have the columns.
    func want(_ indexes: [[String]]) {
        state.withLock { state in
            for index in indexes where !index.isEmpty && !state.indexes.contains(index) {
                state.indexes.append(index)
                state.hasNewIndexes = true
            }
        }
    }

    /// Why files have no table, by table.
    var failures: [(table: String, reason: ExtractionError)] {
        state.withLock { $0.failures.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
    }

    /// The error to tell: a table may be missing because its file is not CSV.
    func reason(behind error: ExtractionError) -> ExtractionError {
        guard error.code == .schemaMismatch else { return error }
        let missing = error.detail.lowercased()
        return failures.first { missing.contains("no such table: \($0.table.lowercased())") }?.reason ?? error
    }

    /// Names the folder and its files.
    func identity() throws(ExtractionError) -> String {
        "csv \(folder): " + (try files()).map(\.table).joined(separator: ", ")
    }

    /// Brings the tables up to the files.
    func refresh() async throws(ExtractionError) {
        let files = try files()
        let deadline = ContinuousClock.now + loadTimeout
        do {
            // The work is done on the database's thread, so two readers never do it at once.
            try await database.run(deadline: deadline) { connection in
                try self.update(connection, files, deadline)
            }
        } catch {
            throw ExtractionError(any: error, while: folder)
        }
    }

    private func update(
        _ connection: SQLiteConnection, _ files: [CSVFile], _ deadline: ContinuousClock.Instant
    ) throws {
        let (known, indexes) = state.withLock { state in
            if state.hasNewIndexes { state.stamps = [:] }
            state.hasNewIndexes = false
            return (state.stamps, state.indexes)
        }
        let present = Set(files.map(\.table))
        for table in known.keys where !present.contains(table) {
            try connection.execute("DROP TABLE IF EXISTS \(table.sqlIdentifier)")
            state.withLock { state in
                state.stamps[table] = nil
                state.failures[table] = nil
            }
        }
        for file in files where known[file.table] != file.stamp {
            do {
                try connection.transaction { connection in
                    try file.load(into: connection, indexes: indexes, deadline: deadline)
                }
                state.withLock { state in
                    state.stamps[file.table] = file.stamp
                    state.failures[file.table] = nil
                }
            } catch let error as ExtractionError where error.code == .corrupt {
                // Other files' tables are of use still; this one's old content would pass for the new.
                try connection.execute("DROP TABLE IF EXISTS \(file.table.sqlIdentifier)")
                state.withLock { state in
                    state.stamps[file.table] = file.stamp
                    state.failures[file.table] = error
                }
            }
        }
    }

    // MARK: Folders

    /// The folder's CSV files, by name.
    private func files() throws(ExtractionError) -> [CSVFile] {
        guard let directory = unsafe opendir(folder) else {
            let reason = unsafe String(cString: strerror(errno))
            throw ExtractionError(
                .unavailable, "the folder of CSV files can't be opened", detail: "\(folder): \(reason)")
        }
        defer { unsafe closedir(directory) }
        var files: [CSVFile] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.lowercased().hasSuffix(".csv"), name.utf8.count > 4, !name.hasPrefix(".") else { continue }
            var status = stat()
            let path = "\(folder)/\(name)"
            guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            files.append(CSVFile(path: path, table: String(name.dropLast(4)), stamp: CSVFile.Stamp(status)))
            guard files.count <= Self.maximumFiles else {
                throw ExtractionError(
                    .tooLarge, "too many CSV files", detail: "\(folder): at most \(Self.maximumFiles)")
            }
        }
        files.sort { $0.table < $1.table }
        var seen: Set<String> = []
        for file in files where !seen.insert(file.table.lowercased()).inserted || file.table.hasPrefix("sqlite_") {
            throw ExtractionError(
                .misconfigured, "a CSV file's name can't be a table's",
                detail: "\(file.path): tables are named without regard to case, and not sqlite_…")
        }
        return files
    }

    private static func makeTemporaryFolder() throws(ExtractionError) -> String {
        let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/tidemark-csv-XXXXXX".utf8CString)
        let isMade = unsafe template.withUnsafeMutableBufferPointer { template in
            unsafe template.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
        }
        guard isMade else {
            let reason = unsafe String(cString: strerror(errno))
            throw ExtractionError(.unavailable, "no temporary folder can be made", detail: "\(parent): \(reason)")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func remove(_ folder: String) {
        for name in ["tables.db", "tables.db-wal", "tables.db-shm"] { unsafe unlink("\(folder)/\(name)") }
        unsafe rmdir(folder)
    }
}
