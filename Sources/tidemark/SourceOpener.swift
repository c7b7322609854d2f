import Extraction
import FeatureModel

/// Opens the source that a config names: the one place that knows all kinds of sources.
enum SourceOpener {
    static func open(_ source: SourceConfig, configPath: String) async throws
        -> any SourceConnector & QuerySource
    {
        switch source.url.scheme {
        case .sqlite:
            var options = SQLiteConnector.Options()
            options.statementTimeout = source.statementTimeout
            options.busyTimeout = source.lockTimeout
            return SQLiteConnector(
                path: ConfigFiles.resolve(source.url.path, from: configPath), options: options)
        case .csv:
            return CSVConnector(folder: ConfigFiles.resolve(source.url.path, from: configPath))
        case .postgresql:
            var options = PostgresOptions()
            options.connectTimeout = source.connectTimeout
            options.statementTimeout = source.statementTimeout
            options.lockTimeout = source.lockTimeout
            return try PostgresConnector(url: postgresURL(source, configPath: configPath), options: options)
        }
    }

    /// libpq takes user and password as options of the URL too.
    private static func postgresURL(_ source: SourceConfig, configPath: String) throws -> String {
        var url = source.url.text
        func add(_ name: String, _ value: String) {
            url += "\(url.contains("?") ? "&" : "?")\(name)=\(percentEncoded(value))"
        }
        if let user = source.username { add("user", user) }
        if let secret = source.password {
            add("password", try ConfigFiles.resolve(secret, from: configPath, what: "sources.\(source.name).password"))
        }
        return url
    }

    private static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                encoded.append(byte)
            default: encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}
