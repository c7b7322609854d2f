import Foundation
import NIOSSL
import Serving
import Testing
import TidemarkTesting

/// Listeners under TLS: who gets in, and what happens when certificates change.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(3))) struct ListenerSecurityTests {
    private static let question =
        "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":1},{\"user_id\":2}]}"

    @Test func theFastLaneAnswersUnderTLSInOrderAndNobodyElseIsHeard() async throws {
        try await Workdir.with { folder async throws in
            let authority = try TestAuthority("a", in: folder.path)
            let identity = try authority.issue("server")
            var options = DaemonStage.Options()
            options.security = try ListenerSecurity(TLSMaterial(identity))
            try await DaemonStage.with(options) { stage async throws in
                let client = SecureClient(port: stage.port, authority: authority.certificate)
                try await client.with { connection async throws in
                    let first = try await connection.ask("POST", "/v1/lookup", Self.question)
                    #expect(first.status == 200 && first.body.contains("\"values\":[9007199254741]"), "\(first.text)")
                    #expect(try await connection.ask("GET", "/readyz").status == 200)
                    // Pipelined, fast lane and router in turns, and a body that takes many records.
                    let many = (0..<5_000).map { "{\"user_id\":\($0)}" }.joined(separator: ",")
                    let large = "{\"features\":[\"activity:activity_count\"],\"entities\":[\(many)]}"
                    try await connection.send(
                        RawClient.request("POST", "/v1/lookup", large) + RawClient.request("GET", "/livez")
                            + RawClient.request("POST", "/v1/lookup", Self.question))
                    #expect(try await connection.receive().body.utf8.count > 50_000)
                    #expect(try await connection.receive().body == "ok\n")
                    #expect(try await connection.receive().body == first.body)
                    // The last answer before the end arrives whole.
                    let refused = try await connection.ask("POST", "/v1/lookup", String(repeating: " ", count: 5 << 20))
                    #expect(refused.status == 413)
                }
                let old = SecureClient(port: stage.port, authority: authority.certificate, maximum: .tlsv11)
                #expect(await old.isRefused())
                let modern = SecureClient(port: stage.port, authority: authority.certificate, maximum: .tlsv12)
                #expect(try await modern.status("GET", "/livez") == 200)
                let plain = try RawClient(port: stage.port)
                try await plain.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                #expect(try await !plain.receiveEnd().contains("HTTP/1.1"))
            }
        }
    }

    @Test func anotherCertificateCountsForNewConnectionsAndDropsNone() async throws {
        try await Workdir.with { folder async throws in
            let (first, second) = (try TestAuthority("a", in: folder.path), try TestAuthority("b", in: folder.path))
            let security = try ListenerSecurity(TLSMaterial(first.issue("server")))
            let next = try TLSMaterial(second.issue("server"))
            var options = DaemonStage.Options()
            options.security = security
            try await DaemonStage.with(options) { stage async throws in
                let (old, new) = (
                    SecureClient(port: stage.port, authority: first.certificate),
                    SecureClient(port: stage.port, authority: second.certificate)
                )
                try await old.with { connection async throws in
                    #expect(try await connection.ask("POST", "/v1/lookup", Self.question).status == 200)
                    #expect(await new.isRefused())
                    try security.prepare(next)()
                    #expect(security.uses(next))
                    #expect(try await new.status("POST", "/v1/lookup", Self.question) == 200)
                    #expect(await old.isRefused())
                    #expect(try await connection.ask("POST", "/v1/lookup", Self.question).status == 200)
                }
            }
        }
    }

    @Test func withAClientAuthorityOnlyItsClientsGetIn() async throws {
        try await Workdir.with { folder async throws in
            let authority = try TestAuthority("a", in: folder.path)
            let (friends, strangers) = (
                try TestAuthority("friends", in: folder.path), try TestAuthority("strangers", in: folder.path)
            )
            let identity = try authority.issue("server")
            let security = try ListenerSecurity(TLSMaterial(identity, clientCA: friends.certificate))
            let (friend, stranger) = (try friends.issue("client"), try strangers.issue("client"))
            @Sendable func check(_ port: Int, _ path: String, _ expected: Int) async throws {
                func client(_ identity: TestAuthority.Identity?) -> SecureClient {
                    SecureClient(port: port, authority: authority.certificate, identity: identity)
                }
                #expect(try await client(friend).status("GET", path) == expected)
                #expect(await client(stranger).isRefused(path))
                #expect(await client(nil).isRefused(path))
            }
            var options = DaemonStage.Options()
            options.security = security
            try await DaemonStage.with(options) { stage async throws in
                try await check(stage.port, "/livez", 200)
                // Another authority of clients counts for new connections, too.
                try security.prepare(TLSMaterial(identity, clientCA: strangers.certificate))()
                let turned = SecureClient(port: stage.port, authority: authority.certificate, identity: stranger)
                #expect(try await turned.status("GET", "/livez") == 200)
                try security.prepare(TLSMaterial(identity, clientCA: friends.certificate))()
            }
            try await AdminFixture.with(try AdminFixture.config(), security: security) { fixture async throws in
                try await check(fixture.client.port, "/admin/v1/status", 401)
            }
        }
    }

    @Test func whatCannotBeUsedIsSaidByFileAndReasonAndLeavesTheOldInForce() async throws {
        try await Workdir.with { folder async throws in
            let authority = try TestAuthority("a", in: folder.path)
            let (identity, other) = (try authority.issue("server"), try authority.issue("other"))
            let right = try TLSMaterial(identity)
            let security = try ListenerSecurity(right)
            let junk = TLSMaterial.Part(name: "junk.pem", bytes: Array("-----BEGIN CERTIFICATE-----\nnope\n".utf8))
            let empty = TLSMaterial.Part(name: "empty.pem", bytes: [])
            let wrong: [(TLSMaterial, String)] = [
                (TLSMaterial(certificate: junk, key: right.key), "junk.pem: "),
                (TLSMaterial(certificate: empty, key: right.key), "empty.pem: "),
                (TLSMaterial(certificate: right.key, key: right.key), "\(identity.key): "),
                (TLSMaterial(certificate: right.certificate, key: empty), "empty.pem: there is no private key in it"),
                (TLSMaterial(certificate: right.certificate, key: right.certificate), "there is no private key in it"),
                (
                    TLSMaterial(certificate: right.certificate, key: try TLSMaterial(other).key),
                    "it is not the key of the certificate in \(identity.certificate)"
                ),
                (TLSMaterial(certificate: right.certificate, key: right.key, clientCA: junk), "junk.pem: "),
                (TLSMaterial(certificate: right.certificate, key: right.key, clientCA: empty), "empty.pem: "),
            ]
            for (material, words) in wrong {
                let error = #expect(throws: TLSProblem.self) { try security.prepare(material) }
                #expect(error?.description.contains(words) == true, "\(String(describing: error))")
                #expect(error?.description.contains("BEGIN") == false)
            }
            #expect(security.uses(right))
            #expect(!"\(right) \(String(reflecting: right))".contains("BEGIN"))
        }
    }

    @Test func theEndOfACertificateIsSeenComing() {
        let dates = CertificateDates(notBefore: 1_000, notAfter: 10_000_000)
        #expect(dates.grade(at: 999) == .notYet)
        #expect(dates.grade(at: 1_000) == .good)
        #expect(dates.grade(at: 10_000_000 - 14 * 86_400) == .good)
        #expect(dates.grade(at: 10_000_001 - 14 * 86_400) == .endsSoon)
        #expect(dates.grade(at: 10_000_000) == .endsSoon)
        #expect(dates.grade(at: 10_000_001) == .expired)
    }
}
