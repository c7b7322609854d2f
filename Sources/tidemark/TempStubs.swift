import Extraction
import FeatureModel
import OnlineStore
import RetailRocket

func SQLiteStore(path: String, project: String) async throws -> any OnlineStore { throw UsageError("later") }
func CSVConnector(folder: String) -> any SourceConnector { SQLiteConnector(path: folder) }
func PostgresConnector(url: String, user: String?, password: String?) -> any SourceConnector {
    SQLiteConnector(path: url)
}
struct Adv { var summary: String }
enum RetailRocketImport {
    static func run(folder: String, out: String, overwrite: Bool, progress: @escaping ShopProgress.Handler) async throws
        -> Adv
    { Adv(summary: "") }
}
