// With gRPC linked, the compiler takes `stat` for a part of this one.
import CoreFoundation
import FeatureModel
import Glibc
import Serving

/// What `doctor` finds of certificates, keys and tokens of the serving daemon.
enum DoctorAccess {
    typealias Finding = DoctorCommand.Finding

    static func findings(_ config: Config, _ configPath: String) async -> [Finding] {
        let texts: NamedTexts
        do {
            texts = try await NamedTexts.read(config, from: configPath)
        } catch {
            return [Finding(place: "serve", check: "secrets", grade: "bad", text: "\(error)")]
        }
        var findings: [Finding] = []
        for (section, tls) in [("serve.tls", config.serve.tls), ("admin.tls", config.admin?.tls)] {
            guard let tls else { continue }
            findings += certificate(section, tls, texts) + permissions(section, tls.key, configPath)
        }
        if let tokens = await tokens(config, texts) { findings.append(tokens) }
        return findings
    }

    private static func certificate(_ section: String, _ tls: ListenerTLSConfig, _ texts: NamedTexts) -> [Finding] {
        let dates: CertificateDates
        do {
            dates = try ListenerSecurity(texts.material(tls)).certificate
        } catch {
            return [Finding(place: section, check: "certificate", grade: "bad", text: "\(error)")]
        }
        let (grade, text) =
            switch dates.grade(at: Int64(time(nil))) {
            case .good: ("good", "\(tls.certificate) counts until \(dates.end)")
            case .endsSoon: ("warning", "\(tls.certificate) ends at \(dates.end); renew it")
            case .expired: ("bad", "\(tls.certificate) ended at \(dates.end); renew it")
            case .notYet: ("bad", "\(tls.certificate) doesn't count yet; look at the clock, or at who issued it")
            }
        return [Finding(place: section, check: "certificate", grade: grade, text: text)]
    }

    private static func permissions(_ section: String, _ key: Secret, _ configPath: String) -> [Finding] {
        guard case .file(let path) = key else { return [] }
        var status = stat()
        guard unsafe stat(ConfigFiles.resolve(path, from: configPath), &status) == 0, status.st_mode & 0o007 != 0 else {
            return []
        }
        return [
            Finding(
                place: section, check: "key", grade: "warning",
                text: "everybody on this machine may read \(path); take that away: chmod o-rwx")
        ]
    }

    private static func tokens(_ config: Config, _ texts: NamedTexts) async -> Finding? {
        let access = config.serve.access
        guard !access.isOpen else { return nil }
        do {
            var verifier: JWTVerifier?
            if let jwt = access.jwt { verifier = try await JWTVerifier(jwt, text: texts.file(jwt.keys)) }
            _ = try AccessPolicy(access, project: config.servedProject, jwt: verifier, resolve: texts.secret)
        } catch {
            return Finding(place: "serve", check: "tokens", grade: "bad", text: "\(error)")
        }
        let jwt = access.jwt.map { ", and those that \($0.issuer) signs" } ?? ""
        let count = access.tokens?.count ?? 0
        guard count > 0 || access.jwt != nil else {
            return Finding(
                place: "serve", check: "tokens", grade: "warning",
                text: "serve.tokens is empty: nobody may ask for anything; `tidemark admin token` makes one")
        }
        return Finding(place: "serve", check: "tokens", grade: "good", text: "\(count) tokens are accepted\(jwt)")
    }
}
