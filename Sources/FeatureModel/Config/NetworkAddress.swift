/// A host and a port to listen on.
package struct NetworkAddress: Hashable, Sendable {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    package let host: String
    /// `0...65535`; 0 takes a free port.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Parses `host:port` or `[IPv6]:port`; `nil` for anything else.
    package init?(spelling: String) {
        guard let colon = spelling.lastIndex(of: ":"),
            let port = Self.port(spelling[spelling.index(after: colon)...], in: 0...65_535),
            let host = Self.host(spelling[..<colon])
        else { return nil }
        self.init(host: host, port: port)
    }

    /// A port in decimal digits, without leading zeros.
    static func port(_ text: Substring, in range: ClosedRange<Int64>) -> Int? {
        guard let port = Literal.integer(String(text)), !text.hasPrefix("+"), range.contains(port) else { return nil }
        return Int(port)
    }

    /// A name, an IPv4 address, or an IPv6 address in brackets, which are taken off.
    static func host(_ text: Substring) -> String? {
        guard text.hasPrefix("["), text.hasSuffix("]") else {
            let isName = text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
            return isName && (1...253).contains(text.utf8.count) && isPossible(text) ? String(text) : nil
        }
        let address = text.dropFirst().dropLast()
        let symbols = address.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        let groups = address.split(separator: ":", omittingEmptySubsequences: false)
        return symbols && (3...9).contains(groups.count) && groups.allSatisfy { $0.utf8.count <= 15 }
            ? String(address) : nil
    }

    /// Four numbers up to 255 where the last part is a number, as in an IPv4 address.
    private static func isPossible(_ name: Substring) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard let last = parts.last, !last.isEmpty, last.utf8.allSatisfy({ (48...57).contains($0) }) else {
            return true
        }
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }
}

extension NetworkAddress: CustomStringConvertible {
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
