import Glibc
package import NIOCore
import NIOSSL
import Synchronization

/// The encryption of listeners that share a certificate: TLS 1.2 and later.
///
/// `apply` takes another certificate, key or client authority for connections that come from then on; those that are open
/// keep theirs. Safe to use from any thread.
package final class ListenerSecurity: Sendable {
    /// What is spoken on the encrypted connection, as ALPN names it.
    package enum Spoken: String, Sendable, CaseIterable {
        case http1 = "http/1.1"
        case http2 = "h2"
    }

    private struct State {
        var material: TLSMaterial
        var contexts: [Spoken: NIOSSLContext]
        var certificate: CertificateDates
    }

    private let state: Mutex<State>

    /// Throws `TLSProblem` for what can't be used.
    package init(_ material: TLSMaterial) throws {
        state = Mutex(try Self.state(material))
    }

    /// When the certificate in force counts.
    package var certificate: CertificateDates { state.withLock { $0.certificate } }

    /// Whether connections are made with just this.
    package func uses(_ material: TLSMaterial) -> Bool { state.withLock { $0.material == material } }

    /// Makes what `material` says count for connections from now on when the returned closure is called.
    ///
    /// - Throws: `TLSProblem` for what can't be used; what is in force stays.
    package func prepare(_ material: TLSMaterial) throws -> @Sendable () -> Void {
        let prepared = try Self.state(material)
        return { self.state.withLock { $0 = prepared } }
    }

    /// Puts the encryption in front of everything else of a new connection. Called on its event loop before it is active.
    package func protect(_ channel: any Channel, speaking spoken: Spoken) throws {
        guard let context = state.withLock({ $0.contexts[spoken] }) else { return }
        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context), position: .first)
    }

    private static func state(_ material: TLSMaterial) throws -> State {
        let chain = try certificates(material.certificate)
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(bytes: material.key.bytes, format: .pem)
        } catch {
            throw TLSProblem(material.key, "there is no private key in it, in PEM and without a passphrase")
        }
        let authorities = try material.clientCA.map { try certificates($0) }
        var contexts: [Spoken: NIOSSLContext] = [:]
        for spoken in Spoken.allCases {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = [spoken.rawValue]
            if let authorities {
                configuration.trustRoots = .certificates(authorities)
                configuration.certificateVerification = .noHostnameVerification
            }
            do {
                contexts[spoken] = try NIOSSLContext(configuration: configuration)
            } catch {
                throw problem(material, key)
            }
        }
        return State(
            material: material, contexts: contexts,
            certificate: CertificateDates(
                notBefore: Int64(chain[0].notValidBefore), notAfter: Int64(chain[0].notValidAfter)))
    }

    /// Why certificate, key and client authorities don't go together: without the authorities it is the key's fault.
    private static func problem(_ material: TLSMaterial, _ key: NIOSSLPrivateKey) -> TLSProblem {
        if let clientCA = material.clientCA, let chain = try? certificates(material.certificate) {
            let plain = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            if (try? NIOSSLContext(configuration: plain)) != nil {
                return TLSProblem(clientCA, "its certificates can't be used as authorities")
            }
        }
        return TLSProblem(material.key, "it is not the key of the certificate in \(material.certificate.name)")
    }

    /// At least one.
    private static func certificates(_ part: TLSMaterial.Part) throws -> [NIOSSLCertificate] {
        let found: [NIOSSLCertificate]
        do {
            found = try NIOSSLCertificate.fromPEMBytes(part.bytes)
        } catch {
            throw TLSProblem(part, "it is not a file of certificates in PEM")
        }
        guard !found.isEmpty else { throw TLSProblem(part, "there is no certificate in it") }
        return found
    }
}

/// When a certificate counts, in seconds since 1970.
package struct CertificateDates: Sendable, Hashable {
    package let notBefore: Int64
    package let notAfter: Int64

    package init(notBefore: Int64, notAfter: Int64) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// How well it stands at an instant.
    package enum Grade: Sendable, Hashable {
        case good
        /// Less than two weeks are left.
        case endsSoon
        case expired
        case notYet
    }

    /// How well it stands at `now`, in seconds since 1970.
    package func grade(at now: Int64) -> Grade {
        if now > notAfter { return .expired }
        if now < notBefore { return .notYet }
        return notAfter - now < 14 * 86_400 ? .endsSoon : .good
    }
}
