/// What a listener's encryption is made of, as bytes of PEM, with the names to call them by in errors.
package struct TLSMaterial: Sendable, Equatable {
    /// One of the texts, and where it is from.
    package struct Part: Sendable, Equatable {
        /// A path, or `env:NAME`.
        package let name: String
        package let bytes: [UInt8]

        package init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = bytes
        }
    }

    package let certificate: Part
    package let key: Part
    /// Authorities of which clients must show a certificate; `nil` for no such demand.
    package let clientCA: Part?

    package init(certificate: Part, key: Part, clientCA: Part? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientCA = clientCA
    }
}

extension TLSMaterial: CustomStringConvertible, CustomReflectable {
    /// The names, and nothing of the key.
    package var description: String { "\(certificate.name), \(key.name)" }
    /// Shows names alone.
    package var customMirror: Mirror { Mirror(self, children: ["names": description]) }
}

/// Why a listener can't be encrypted as the config says. Names the file and what is wrong with it, and shows nothing of it.
package struct TLSProblem: Error, CustomStringConvertible, Equatable {
    package let description: String

    init(_ part: TLSMaterial.Part, _ reason: String) {
        description = "\(part.name): \(reason)"
    }
}
