import Extraction
import FeatureModel

/// Opens the source that a config names: the one place that knows all kinds of sources.
enum SourceOpener {
    static func open(_ source: SourceConfig, configPath: String) async throws -> any SourceConnector {
        switch source.url.scheme {
        case .sqlite:
            return SQLiteConnector(
                path: ConfigFiles.resolve(source.url.path, from: configPath),
                options: .init(statementTimeout: source.statementTimeout, busyTimeout: source.lockTimeout))
        case .csv:
            return CSVConnector(folder: ConfigFiles.resolve(source.url.path, from: configPath))
        case .postgresql:
            let password = try source.password.map {
                try ConfigFiles.resolve($0, from: configPath, what: "sources.\(source.name).password")
            }
            return PostgresConnector(url: source.url.text, user: source.username, password: password)
        }
    }
}
