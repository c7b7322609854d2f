/// An authority of a test's own, which issues certificates for `localhost` and 127.0.0.1 through `openssl`.
package struct TestAuthority: Sendable {
    /// A certificate and its key, as paths.
    package struct Identity: Sendable {
        package let certificate: String
        package let key: String
    }

    private let folder: String
    private let name: String

    /// The authority's own certificate, as a path.
    package var certificate: String { "\(folder)/\(name).pem" }

    /// Makes one; its files are in `folder` and begin with `name`.
    package init(_ name: String, in folder: String) throws {
        self.folder = folder
        self.name = name
        try run(
            ["openssl", "req", "-x509", "-keyout", "\(folder)/\(name).key", "-out", "\(folder)/\(name).pem"]
                + ["-subj", "/CN=\(name)", "-days", "20"] + Self.newKey)
    }

    /// Issues a certificate that counts for this many days from now on.
    package func issue(_ subject: String, days: Int = 20) throws -> Identity {
        let path = "\(folder)/\(name)-\(subject)"
        try run(
            ["openssl", "req", "-keyout", "\(path).key", "-out", "\(path).csr", "-subj", "/CN=\(subject)"]
                + Self.newKey)
        try write("subjectAltName=DNS:localhost,IP:127.0.0.1\n", to: "\(path).names")
        try run(
            ["openssl", "x509", "-req", "-in", "\(path).csr", "-CA", certificate, "-CAkey", "\(folder)/\(name).key"]
                + ["-CAcreateserial", "-out", "\(path).pem", "-days", "\(days)", "-extfile", "\(path).names"])
        return Identity(certificate: "\(path).pem", key: "\(path).key")
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
}
