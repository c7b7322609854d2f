extension RedisTopology {
    /// Parses `redis://[user[:password]@]host[:port][/db]`, the same with `rediss://`, or `redis+unix:///path?db=n`.
    ///
    /// User and password are percent-encoded. `rediss` takes `?ca_file=PATH` and `?verify=none`. No error quotes the URL.
    package init(url: String) throws(RedisError) {
        guard let colon = url.firstRange(of: "://") else { throw Self.invalid("the Redis URL has no scheme") }
        let rest = url[colon.upperBound...]
        switch url[..<colon.lowerBound] {
        case "redis": self.init(try Self.endpoint(rest, tls: nil))
        case "rediss": self.init(try Self.endpoint(rest, tls: RedisEndpoint.TLS()))
        case "redis+unix": self.init(try Self.unixEndpoint(rest))
        case "redis+sentinel": throw Self.invalid("redis+sentinel:// is not supported: name the master as redis://")
        case "redis+cluster": throw Self.invalid("redis+cluster:// is not supported: name one server as redis://")
        default: throw Self.invalid("the Redis URL has an unknown scheme")
        }
    }

    private static func invalid(_ message: StaticString, detail: String = "") -> RedisError {
        RedisError(.invalidConfiguration, message, detail: detail)
    }

    private static func endpoint(_ rest: Substring, tls: RedisEndpoint.TLS?) throws(RedisError) -> RedisEndpoint {
        let (path, query) = split(rest, at: "?")
        let (authority, database) = split(path, at: "/")
        var endpoint = RedisEndpoint(address: .unixSocket(path: ""), tls: tls)
        var place = authority
        if let at = authority.lastIndex(of: "@") {
            place = authority[authority.index(after: at)...]
            try readCredentials(authority[..<at], into: &endpoint)
        }
        endpoint.address = try hostAndPort(place)
        if let database, !database.isEmpty { endpoint.database = try number(ofDatabase: database) }
        try readOptions(query, into: &endpoint)
        return endpoint
    }

    private static func unixEndpoint(_ rest: Substring) throws(RedisError) -> RedisEndpoint {
        let (path, query) = split(rest, at: "?")
        var endpoint = RedisEndpoint(address: .unixSocket(path: ""))
        var place = path
        if let at = path.firstIndex(of: "@"), at < (path.firstIndex(of: "/") ?? path.endIndex) {
            place = path[path.index(after: at)...]
            try readCredentials(path[..<at], into: &endpoint)
        }
        guard place.hasPrefix("/"), let decoded = percentDecoded(place), !decoded.utf8.contains(0),
            decoded.utf8.count <= 107
        else { throw invalid("redis+unix:// needs an absolute path of at most 107 bytes") }
        endpoint.address = .unixSocket(path: decoded)
        try readOptions(query, into: &endpoint)
        return endpoint
    }

    private static func readCredentials(
        _ text: Substring, into endpoint: inout RedisEndpoint
    ) throws(RedisError) {
        let (user, password) = split(text, at: ":")
        guard let decodedUser = percentDecoded(user), let decodedPassword = percentDecoded(password ?? "") else {
            throw invalid("user or password of the Redis URL are not percent-encoded UTF-8")
        }
        endpoint.user = decodedUser.isEmpty ? nil : decodedUser
        endpoint.password = password == nil ? nil : decodedPassword
    }

    private static func hostAndPort(_ place: Substring) throws(RedisError) -> RedisEndpoint.Address {
        var host = place
        var port: Substring?
        if place.hasPrefix("[") {
            guard let end = place.firstIndex(of: "]") else { throw invalid("the IPv6 address of the URL has no end") }
            host = place[place.index(after: place.startIndex)..<end]
            let behind = place[place.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { throw invalid("the port of the URL makes no sense") }
            port = behind.isEmpty ? nil : behind.dropFirst()
        } else {
            (host, port) = split(place, at: ":")
        }
        guard !host.isEmpty, !host.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else {
            throw invalid("the Redis URL has no host")
        }
        guard let port else { return .host(String(host), port: 6379) }
        guard let number = Int(port), (1...65_535).contains(number) else {
            throw invalid("the port of the URL makes no sense")
        }
        return .host(String(host), port: number)
    }

    private static func number(ofDatabase text: Substring) throws(RedisError) -> Int {
        guard let number = Int(text), (0...1_000_000).contains(number) else {
            throw invalid("the database of the URL is not a number")
        }
        return number
    }

    private static func readOptions(
        _ query: Substring?, into endpoint: inout RedisEndpoint
    ) throws(RedisError) {
        for option in query?.split(separator: "&") ?? [] {
            let (name, value) = split(option, at: "=")
            switch (name, endpoint.tls) {
            case ("db", _): endpoint.database = try number(ofDatabase: value ?? "")
            case ("ca_file", .some):
                guard let path = percentDecoded(value ?? ""), !path.isEmpty else { throw invalid("ca_file is empty") }
                endpoint.tls?.caFile = path
            case ("verify", .some):
                guard value == "none" || value == "full" else { throw invalid("verify is `full` or `none`") }
                endpoint.tls?.verifies = value == "full"
            default: throw invalid("the Redis URL has an unknown option")
            }
        }
    }

    private static func split(_ text: Substring, at mark: Character) -> (Substring, Substring?) {
        guard let index = text.firstIndex(of: mark) else { return (text, nil) }
        return (text[..<index], text[text.index(after: index)...])
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let decoded = UInt8(String(rest.prefix(2)) ?? "", radix: 16) else { return nil }
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
