/// How a listener is encrypted.
package struct ListenerTLSConfig: Hashable, Sendable {
    /// A PEM file: the listener's certificate, and those between it and the authority behind it.
    package let certificate: String
    /// Where the certificate's private key is kept, in PEM.
    package let key: Secret
    /// A PEM file of authorities: clients must show a certificate of one of them. `nil` lets everybody in.
    package let clientCA: String?

    /// Reads the section, which has its shape already.
    init?(_ node: YAMLNode) {
        guard let certificate = node["certificate"]?.text, let key = node["key"]?.text.flatMap(Secret.init(spelling:))
        else { return nil }
        self.certificate = certificate
        self.key = key
        clientCA = node["client_ca"]?.text
    }
}

/// The declaration of `tls:` of a listener.
enum ListenerTLSShape {
    static let tls = ObjectShape(
        name: "tls",
        summary: "Encrypts a listener. The files are looked at again and again; new ones count for new connections.",
        fields: [
            Field(
                "certificate", .text(ConfigShape.path),
                "A PEM file: the certificate, and behind it those between it and its authority.", required: true),
            Field(
                "key", .text(ConfigShape.secret), "Where the certificate's private key is kept: file:PATH or env:NAME.",
                required: true),
            Field(
                "client_ca", .text(ConfigShape.path),
                "A PEM file of authorities; clients must show a certificate of one of them.",
                default: "clients need none"),
        ])
}
