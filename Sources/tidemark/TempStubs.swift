import Extraction
import FeatureModel
import OnlineStore

func SQLiteStore(path: String, project: String) async throws -> any OnlineStore { throw UsageError("later") }
func CSVConnector(folder: String) -> any SourceConnector { SQLiteConnector(path: folder) }
func PostgresConnector(url: String, user: String?, password: String?) -> any SourceConnector {
    SQLiteConnector(path: url)
}
