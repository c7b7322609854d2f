import Glibc
import HTTPTypes
import Hummingbird
import NIOCore

/// What the middlewares learn of a request.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// Whom limits of wrong tokens go by.
    let peer: String
    /// Set by the envelope.
    var requestID = ""
    /// Set once the token is known.
    var principal: Principal?

    init(source: Source) {
        coreContext = CoreRequestContextStorage(source: source)
        peer = PeerName.of(source.channel.remoteAddress)
    }

    /// Whoever asks. Routes stand behind authentication, so there is always one.
    func authenticated() throws(AdminProblem) -> Principal {
        guard let principal else { throw AdminProblem(.unauthorized, "Unauthorized", "no token") }
        return principal
    }

    /// A name in the path.
    func name(_ parameter: String) throws(AdminProblem) -> String {
        guard let name = parameters.get(parameter), !name.isEmpty, name.utf8.count <= AdminLimits.nameBytes,
            name.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw AdminProblem(.notFound, "Not found", "there is no such \(parameter)") }
        return name
    }
}

/// The name of a peer: an IPv4 address, or the network of an IPv6 one, of which each host has very many.
package enum PeerName {
    static func of(_ address: SocketAddress?) -> String {
        switch address {
        case .v4?: return address?.ipAddress ?? "unknown"
        case .v6?:
            var octets = [UInt8](repeating: 0, count: 16)
            let text = (address?.ipAddress ?? "").prefix { $0 != "%" }
            guard unsafe inet_pton(AF_INET6, String(text), &octets) == 1 else { return "unknown" }
            return network(octets)
        case .unixDomainSocket?: return "unix"
        case nil: return "unknown"
        }
    }

    /// The same of a peer as gRPC words it: `ipv4:ADDRESS:PORT` or `ipv6:[ADDRESS]:PORT`.
    package static func of(remotePeer peer: String) -> String {
        guard let scheme = peer.firstIndex(of: ":"), let port = peer.lastIndex(of: ":"), scheme < port else {
            return "unknown"
        }
        let host = peer[peer.index(after: scheme)..<port].filter { $0 != "[" && $0 != "]" }
        return of(try? SocketAddress(ipAddress: String(host), port: 0))
    }

    /// The name of an IPv6 address of 16 bytes.
    package static func network(_ octets: [UInt8]) -> String {
        guard octets.count == 16 else { return "unknown" }
        if octets[..<10].allSatisfy({ $0 == 0 }), octets[10] == 255, octets[11] == 255 {
            return octets[12...].map(String.init).joined(separator: ".")
        }
        if octets[..<15].allSatisfy({ $0 == 0 }), octets[15] == 1 { return "::1" }
        let groups = stride(from: 0, to: 8, by: 2).map { String(Int(octets[$0]) << 8 | Int(octets[$0 + 1]), radix: 16) }
        return groups.joined(separator: ":") + "::/64"
    }
}
