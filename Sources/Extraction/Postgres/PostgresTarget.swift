import CPostgres

/// Where to connect: a libpq URL or conninfo string, checked, with the secrets it holds known so that no error shows them.
package struct PostgresTarget: Sendable {
    /// Never to be printed.
    let url: String
    private let secrets: [String]

    /// - Throws: `misconfigured` when libpq can't parse the URL.
    package init(url: String) throws(ExtractionError) {
        guard !url.utf8.contains(0), let secrets = Self.secrets(in: url) else {
            throw ExtractionError(
                .misconfigured, "the source's URL is none that PostgreSQL understands",
                detail:
                    "expected postgresql://user@host/database?options or key=value pairs; the text is not shown here")
        }
        self.url = url
        self.secrets = secrets
    }

    /// A text of libpq or the server, on one line and without secrets.
    func redact(_ text: String) -> String {
        var text = text
        for secret in secrets where !secret.isEmpty { text = Self.replace(secret, in: text) }
        return text.split(whereSeparator: \.isNewline).joined(separator: "; ")
    }

    /// `nil` when libpq can't parse the URL. Its own message is dropped, since that quotes parts of the URL.
    private static func secrets(in url: String) -> [String]? {
        var message: UnsafeMutablePointer<CChar>?
        let options = unsafe PQconninfoParse(url, &message)
        if let message = unsafe message { unsafe PQfreemem(message) }
        guard let options = unsafe options else { return nil }
        defer { unsafe PQconninfoFree(options) }
        var secrets: [String] = []
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            let name = unsafe String(cString: keyword)
            if name == "password" || name == "sslpassword", let value = unsafe option.pointee.val {
                secrets.append(unsafe String(cString: value))
            }
            unsafe option += 1
        }
        return secrets
    }

    private static func replace(_ secret: String, in text: String) -> String {
        let pattern = Array(secret.utf8)
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: pattern) {
                result.append(contentsOf: "***".utf8)
                index += pattern.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
