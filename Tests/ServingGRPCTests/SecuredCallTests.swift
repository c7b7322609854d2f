import FeatureModel
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import OnlineStore
import Serving
import ServingProtos
import SwiftProtobuf
import Telemetry
import Testing
import TidemarkTesting

/// gRPC under TLS and with tokens.
@Suite(.timeLimit(.minutes(2)))
struct SecuredCallTests {
    private static func material(_ identity: TestAuthority.Identity, clientCA: String? = nil) throws -> TLSMaterial {
        func part(_ path: String) throws -> TLSMaterial.Part {
            TLSMaterial.Part(name: path, bytes: Array(try Data(contentsOf: URL(fileURLWithPath: path))))
        }
        return TLSMaterial(
            certificate: try part(identity.certificate), key: try part(identity.key), clientCA: try clientCA.map(part))
    }

    private static func trust(
        _ authority: TestAuthority, _ identity: TestAuthority.Identity? = nil
    ) -> HTTP2ClientTransport.Posix.TransportSecurity {
        .tls { config in
            config.trustRoots = .certificates([.file(path: authority.certificate, format: .pem)])
            // 127.0.0.1 is in the certificate as an address, which the transport doesn't ask for.
            config.serverCertificateVerification = .noHostnameVerification
            if let identity {
                config.certificateChain = [.file(path: identity.certificate, format: .pem)]
                config.privateKey = .file(path: identity.key, format: .pem)
            }
        }
    }

    /// Whether calls of this client arrive.
    private static func reaches(
        _ security: ListenerSecurity, as client: HTTP2ClientTransport.Posix.TransportSecurity
    ) async throws -> Bool {
        var isReached = false
        try await GRPCFixture.with(MemoryStore(), readsCatalog: false, security: security, transport: client) {
            fixture in
            var options = CallOptions.defaults
            options.timeout = .seconds(5)
            let code = await GRPCFixture.code {
                _ = try await fixture.health.check(.init(), options: options)
            }
            isReached = code == nil
        }
        return isReached
    }

    @Test func clientsReachItByTheCertificateOfItsAuthorityOnly() async throws {
        try await Workdir.with { folder async throws in
            let (ours, other) = (try TestAuthority("a", in: folder.path), try TestAuthority("b", in: folder.path))
            let security = try ListenerSecurity(Self.material(ours.issue("server")))
            #expect(try await Self.reaches(security, as: Self.trust(ours)))
            #expect(try await !Self.reaches(security, as: Self.trust(other)))
            #expect(try await !Self.reaches(security, as: .plaintext))
            try security.prepare(Self.material(other.issue("server")))()
            #expect(try await Self.reaches(security, as: Self.trust(other)))
        }
    }

    @Test func withAClientAuthorityOnlyItsClientsGetIn() async throws {
        try await Workdir.with { folder async throws in
            let (ours, other) = (try TestAuthority("a", in: folder.path), try TestAuthority("b", in: folder.path))
            let security = try ListenerSecurity(Self.material(ours.issue("server"), clientCA: ours.certificate))
            #expect(try await Self.reaches(security, as: Self.trust(ours, ours.issue("client"))))
            #expect(try await !Self.reaches(security, as: Self.trust(ours, other.issue("client"))))
            #expect(try await !Self.reaches(security, as: Self.trust(ours)))
        }
    }

    @Test func callsNeedATokenThatMayReadAndHealthNeedsNone() async throws {
        let tokens = (0..<3).map { _ in AdminToken.make() }
        let hashes = tokens.map { AdminToken.sha256($0) }
        let text = """
            project: shop
            online_store: {url: "redis://127.0.0.1:6379/0"}
            sources: {shop: {url: "sqlite:shop.db"}}
            serve:
              tokens:
                - {name: reader, sha256: \(hashes[0]), scopes: [read]}
                - {name: writer, sha256: \(hashes[1]), scopes: [write]}
                - {name: elsewhere, sha256: \(hashes[2]), scopes: [read], projects: [other]}
            """
        let config = try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
        let access = DataAccess()
        access.apply(try AccessPolicy(config.serve.access, project: "shop", jwt: nil) { _, _ in "" })
        let store = MemoryStore()
        let rows = Rows(store: store)
        try await rows.apply()
        try await GRPCFixture.with(store, access: access) { fixture async throws in
            func codes(_ fields: [String]) async -> [RPCError.Code?] {
                var metadata: Metadata = [:]
                for field in fields { metadata.addString(field, forKey: "authorization") }
                let ours = await GRPCFixture.code {
                    _ = try await fixture.features.lookup(
                        GRPCFixture.question(["activity:views"], users: [1]), metadata: metadata)
                }
                let feasts = await GRPCFixture.code {
                    _ = try await fixture.feast.getOnlineFeatures(
                        GRPCFixture.feastQuestion(["activity:views"], users: [1]), metadata: metadata)
                }
                // There is no pipeline to recommend by, which only those hear who may ask.
                let items = await GRPCFixture.code {
                    _ = try await fixture.recommending.recommend(.with { $0.pipeline = "home" }, metadata: metadata)
                }
                return [ours, feasts, items]
            }
            let refused: [RPCError.Code?] = [.unauthenticated, .unauthenticated, .unauthenticated]
            #expect(await codes(["Bearer \(tokens[0])"]) == [nil, nil, .notFound])
            #expect(await codes([]) == refused)
            for wrong in [["Bearer x"], [tokens[0]], ["Bearer \(tokens[0])", "Bearer \(tokens[0])"], [""]] {
                #expect(await codes(wrong) == refused, "\(wrong.count)")
            }
            for token in tokens.dropFirst() {
                #expect(
                    await codes(["Bearer \(token)"]) == [.permissionDenied, .permissionDenied, .permissionDenied])
            }
            #expect(await GRPCFixture.code { _ = try await fixture.health.check(.init()) } == nil)
            let page = fixture.serving.metrics.registry.render(.prometheus)
            #expect(page.contains("tidemark_access_refusals_total{transport=\"grpc\",reason=\"missing\"} 3"))
            #expect(page.contains("code=\"PERMISSION_DENIED\"} 2"))
        }
    }
}
