import FeatureModel
import NIOPosix
import Serving

/// What the config of a serving daemon names and doesn't hold: secrets and files of certificates and keys, all read at once.
struct NamedTexts: Sendable, Equatable {
    private var secrets: [Secret: String] = [:]
    private var files: [String: [UInt8]] = [:]

    /// Reads them on a thread that may block.
    ///
    /// - Throws: `UsageError` for the first that can't be read.
    static func read(_ config: Config, from configPath: String) async throws -> NamedTexts {
        try await NIOThreadPool.singleton.runIfActive { try NamedTexts(config, configPath) }
    }

    private init(_ config: Config, _ configPath: String) throws {
        func read(_ secret: Secret, _ what: String) throws {
            secrets[secret] = try ConfigFiles.resolve(secret, from: configPath, what: what)
        }
        func read(_ path: String, _ what: String) throws {
            files[path] = try ConfigFiles.read(ConfigFiles.resolve(path, from: configPath), what: what)
        }
        func read(_ hash: TokenHash, _ what: String) throws {
            if case .kept(let secret) = hash { try read(secret, what) }
        }
        for (section, tls) in [("serve.tls", config.serve.tls), ("admin.tls", config.admin?.tls)] {
            guard let tls else { continue }
            try read(tls.certificate, "the certificate of \(section)")
            try read(tls.key, "\(section).key")
            if let clientCA = tls.clientCA { try read(clientCA, "the client_ca of \(section)") }
        }
        for token in config.serve.access.tokens ?? [] { try read(token.sha256, "serve.tokens, \(token.name), sha256") }
        if let jwt = config.serve.access.jwt { try read(jwt.keys, "the file of serve.jwt.keys") }
        for token in config.admin?.tokens ?? [] { try read(token.sha256, "admin.tokens, \(token.name), sha256") }
    }

    /// A secret that the config names.
    func secret(_ secret: Secret, _ what: String) throws -> String {
        guard let text = secrets[secret] else { throw UsageError("\(what): \(secret) was not read") }
        return text
    }

    /// A file that the config names.
    func file(_ path: String) -> [UInt8] { files[path] ?? [] }

    /// What a section of encryption is made of.
    func material(_ tls: ListenerTLSConfig) throws -> TLSMaterial {
        TLSMaterial(
            certificate: .init(name: tls.certificate, bytes: file(tls.certificate)),
            key: .init(name: "\(tls.key)", bytes: Array(try secret(tls.key, "key").utf8)),
            clientCA: tls.clientCA.map { .init(name: $0, bytes: file($0)) })
    }
}
