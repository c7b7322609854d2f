import FeatureModel
import Glibc
import Logging
import Serving
import Synchronization
import Telemetry

/// Certificates, keys and tokens of a serving daemon: taken at its start, and again when the config or what it names has changed.
final class ServingAccess: Sendable {
    /// How HTTP and gRPC are encrypted; `nil` for not at all.
    let serve: ListenerSecurity?
    /// How the admin listener is.
    let admin: ListenerSecurity?
    let data = DataAccess()
    /// Who may use the admin listener; `nil` where the config has none.
    let adminAccess: AdminAccess?

    private let configPath: String
    /// What the daemon serves to its end, whatever a config that is taken later calls the project.
    private let served: String
    private let logger: Logger
    private let registry: MetricRegistry
    private let texts: Mutex<NamedTexts>

    /// - Throws: `UsageError`, in words, for what can't be read or used.
    init(_ project: ServingProject) async throws {
        let config = project.config
        configPath = project.configPath
        served = project.served
        logger = project.logger
        registry = project.registry
        let texts = try await NamedTexts.read(config, from: project.configPath)
        self.texts = Mutex(texts)
        do {
            serve = try config.serve.tls.map { try ListenerSecurity(texts.material($0)) }
            admin = try config.admin?.tls.map { try ListenerSecurity(texts.material($0)) }
            adminAccess = try config.admin.map { AdminAccess(try Self.settings($0, texts)) }
            data.apply(try await policy(config, texts))
        } catch let error as UsageError {
            throw error
        } catch {
            throw UsageError("\(error)")
        }
        showCertificates()
    }

    /// Resolves all that a config names.
    ///
    /// - Returns: What puts it in force.
    func prepare(_ config: Config) async throws -> @Sendable () -> Void {
        let texts = try await NamedTexts.read(config, from: configPath)
        return try await prepare(config, texts)
    }

    /// The same for the config in force; `nil` when all it names is as it was.
    func refresh(_ config: Config) async throws -> (@Sendable () -> Void)? {
        let texts = try await NamedTexts.read(config, from: configPath)
        guard self.texts.withLock({ $0 != texts }) else { return nil }
        return try await prepare(config, texts)
    }

    private func prepare(_ config: Config, _ texts: NamedTexts) async throws -> @Sendable () -> Void {
        var commits: [@Sendable () -> Void] = []
        // Whether a listener is encrypted at all was settled at the start.
        if let serve, let tls = config.serve.tls { commits.append(try serve.prepare(texts.material(tls))) }
        if let admin, let tls = config.admin?.tls { commits.append(try admin.prepare(texts.material(tls))) }
        if let adminAccess {
            let settings = try Self.settings(config.admin ?? AdminConfig.closed, texts)
            commits.append { adminAccess.apply(settings) }
        }
        let policy = try await policy(config, texts)
        return { [commits] in
            for commit in commits { commit() }
            if policy == nil, !self.data.isOpen { self.logger.warning("everybody may do everything from now on") }
            self.data.apply(policy)
            self.texts.withLock { $0 = texts }
            self.showCertificates()
        }
    }

    private static func settings(_ config: AdminConfig, _ texts: NamedTexts) throws -> AdminSettings {
        try AdminSettings(config, resolve: texts.secret)
    }

    private func policy(_ config: Config, _ texts: NamedTexts) async throws -> AccessPolicy? {
        let access = config.serve.access
        guard !access.isOpen else { return nil }
        var verifier: JWTVerifier?
        if let jwt = access.jwt { verifier = try await JWTVerifier(jwt, text: texts.file(jwt.keys)) }
        return try AccessPolicy(access, project: served, jwt: verifier, resolve: texts.secret)
    }

    private func showCertificates() {
        for (name, security) in [("serve", serve), ("admin", admin)] {
            guard let dates = security?.certificate else { continue }
            registry.gauge(.certificateExpiryTimestampSeconds, [name]).set(Double(dates.notAfter))
            let grade = dates.grade(at: Int64(time(nil)))
            guard grade != .good else { continue }
            logger.warning(
                "a certificate is to be renewed",
                metadata: ["listener": "\(name)", "state": "\(grade)", "ends": "\(dates.end)"])
        }
    }
}

extension CertificateDates {
    /// For people.
    var end: String { Timestamps.format(notAfter.multipliedReportingOverflow(by: 1_000_000).partialValue) }
}
